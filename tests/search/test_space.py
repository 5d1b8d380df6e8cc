"""Spaces as data: what a file means, what its networks are, and what is refused with which sentence."""

import pickle
import random
from itertools import product

import pytest
import yaml

from compound import ZOO, NetworkError, cost, parse_network
from compound.notation import dump_network
from compound.search.space_file import SpaceError, find_space, load_space, parse_space

ROW = {"block": "mbconv", "kernel": {"choices": [3, 5]}, "layers": 1, "channels": 16}
SPACES = ("mnasnet", "small", "layers", "cells")


def space(*rows, **fields):
    return parse_space(
        {"name": "s", "resolution": 28, "stem": {"block": "conv", "channels": 8}, "stages": list(rows)} | fields
    )


def refusal(*rows, **fields):
    with pytest.raises(SpaceError) as raised:
        space(*rows, **fields)
    return str(raised.value)


@pytest.mark.long
@pytest.mark.parametrize("name", SPACES)
def test_every_network_of_our_spaces_is_an_ordinary_one(name):
    found = find_space(name)
    rng = random.Random(1)
    for _ in range(8):
        network = found.network(found.sample(rng))
        assert cost(network).params > 0
        assert parse_network(dump_network(network)) == network


def test_parameters_are_places_and_options():
    found = space(ROW, {"choices": [{"block": "conv"}, {"block": "mbconv", "expand": 4}], "layers": 1, "channels": 24})
    assert [(c.name, c.labels) for c in found.choices] == [
        ("stage1.kernel", (3, 5)),
        ("stage2", ("conv", "mbconv, expand 4")),
    ]
    network = found.network({"stage1.kernel": 5, "stage2": "mbconv, expand 4"})
    expected = parse_network(
        "name: s\nresolution: 28\nstem: {block: conv, channels: 8}\nstages:\n"
        "- {block: mbconv, kernel: 5, layers: 1, channels: 16}\n- {block: mbconv, expand: 4, layers: 1, channels: 24}\n"
    )
    assert network.with_(name="s") == expected


def test_networks_of_a_space_can_be_the_zoos():
    """MnasNet's own networks lie in its space, but for the width of the stem and rows that keep the base's layers."""
    found = find_space("mnasnet")
    chosen = {c.name: c.labels[0] for c in found.choices}
    for number, row in enumerate(ZOO["mnasnet-b1"].stages, 1):
        chosen |= {
            f"stage{number}": f"mbconv, expand {row.block.expand:g}",
            f"stage{number}.kernel": row.block.kernel,
            f"stage{number}.se": 0,
            f"stage{number}.skip": True,
        }
    blocks = [stage.block for stage in found.network(chosen).stages]
    assert blocks == [stage.block for stage in ZOO["mnasnet-b1"].stages]


def test_the_size_is_the_number_of_different_networks():
    """Counted by looking at all of them, with a row that may be left out."""
    found = space(ROW, {**ROW, "channels": {"choices": [16, 24]}, "layers": {"choices": [0, 1, 2]}})
    every = [
        dict(zip([c.name for c in found.choices], v, strict=True)) for v in product(*(c.labels for c in found.choices))
    ]
    assert len(every) == 24
    assert len({found.network(parameters).stages for parameters in every}) == found.size == 2 * (1 + 2 * 2 * 2)


def test_the_paper_s_space_is_counted():
    """Seven rows of 4 operators × 2 kernels × 2 SE ratios × 3 skips × 3 widths × layers (2 where the base has 1)."""
    assert find_space("mnasnet").size == (4 * 2 * 2 * 3 * 3) ** 7 * 3**5 * 2**2


def test_a_row_of_no_layers_is_left_out_and_its_other_choices_have_no_effect():
    found = space(ROW, {**ROW, "layers": {"choices": [0, 1]}})
    parameters = {"stage1.kernel": 3, "stage2.kernel": 5, "stage2.layers": 0}
    assert len(found.network(parameters).stages) == 1
    assert found.canonical(parameters) == parameters | {"stage2.kernel": 3}
    assert found.network(parameters) == found.network(found.canonical(parameters))


def test_one_choice_in_two_places():
    same = {"as": "kernel", "choices": [3, 5]}
    found = space({**ROW, "kernel": same}, {**ROW, "kernel": same})
    assert found.size == 2
    assert [s.block.kernel for s in found.network({"kernel": 5}).stages] == [5, 5]


def test_repeated_rows_choose_for_themselves():
    found = space({**ROW, "repeat": 3})
    assert [c.name for c in found.choices] == ["stage1.kernel", "stage2.kernel", "stage3.kernel"]


def test_cells_join_what_no_node_reads():
    found = find_space("cells")
    chosen = {c.name: c.labels[0] for c in found.choices}
    assert found.network(chosen).stages[0].block.joined == (2, 3, 4, 5, 6)
    assert found.network(chosen | {"normal6.left": 2, "normal6.right": 4}).stages[0].block.joined == (3, 5, 6)


def test_a_space_survives_pickling_and_yaml(tmp_path):
    found = find_space("small")
    assert pickle.loads(pickle.dumps(found)) == found
    path = tmp_path / "copy.yaml"
    path.write_text(yaml.safe_dump(dict(found.source), sort_keys=False))
    assert load_space(path) == found
    assert load_space(path).fingerprint == found.fingerprint


def test_the_same_seed_draws_the_same():
    found = find_space("small")
    assert found.sample(random.Random(4)) == found.sample(random.Random(4))
    assert found.sample(random.Random(4)) != found.sample(random.Random(5))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({**ROW, "kernl": {"choices": [3, 5]}}, "there is no field 'kernl'; did you mean 'kernel'?"),
        ({**ROW, "kernel": {"choices": [3, 4]}}, "stage1.kernel 4 is in no valid network: stage 1: kernel 4 is even"),
        ({**ROW, "kernel": {"choices": []}}, "stage1.kernel: choices [] leaves nothing to choose"),
        ({**ROW, "kernel": 3}, "nothing to search: no field has choices"),
        ({**ROW, "kernel": {"choices": [3, 3]}}, "stage1.kernel: an option of [3, 3] stands there twice"),
        (
            {**ROW, "block": {"choices": ["mbconv", "mbcnv"]}},
            "there is no block 'mbcnv'; did you mean 'mbconv' or 'conv'?",
        ),
        ({**ROW, "repeat": 0}, "repeat 0 is not a number of rows"),
        ({"choices": [3, 5], "layers": 1, "channels": 8}, "options beside other fields must be fields"),
        ({**ROW, "expand": {"choices": [{"choices": [1, 2]}]}}, "choices stand within choices"),
        ({**ROW, "layers": {"choices": [0, 1]}, "stride": 2}, "stage1.layers 0 is in no valid network"),
    ],
)
def test_mistakes_are_named(row, said):
    assert said in refusal(row)


def test_a_choice_of_one_name_has_the_same_options():
    one, two = ({**ROW, "kernel": {"as": "k", "choices": options}} for options in ([3, 5], [3, 7]))
    assert "the choice 'k' has other options elsewhere" in refusal(one, two)


def test_an_invalid_combination_is_named_when_it_is_chosen():
    """Grouped convolutions: groups must divide the channels, which most combinations here fulfil."""
    row = {"block": "bottleneck", "groups": {"choices": [1, 32]}, "layers": 1, "channels": {"choices": [64, 128, 136]}}
    found = space(row)
    with pytest.raises(NetworkError, match=r"stage 1: .*32"):
        found.network({"stage1.groups": 32, "stage1.channels": 136})


def test_files_that_are_no_space(tmp_path):
    with pytest.raises(SpaceError, match="there is no space 'smal'; did you mean 'small'"):
        find_space("smal")
    with pytest.raises(SpaceError, match=r"cannot read space file .*none\.yaml: No such file"):
        find_space(str(tmp_path / "none.yaml"))
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(SpaceError, match="not a space"):
        find_space(str(tmp_path / "list.yaml"))
