"""Spaces as data: what a file means, what its networks are, and what is refused with which sentence."""

import pickle
import random
from dataclasses import replace
from itertools import product

import pytest
import yaml

from compound import ZOO, NetworkError, cost, parse_network
from compound.blocks import Cell
from compound.notation import dump_network
from compound.search.place import place_in
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


@pytest.mark.parametrize(
    ("space_name", "network"),
    [
        ("mnasnet", "mnasnet-a1"),  # Tan et al. 2019, Figure 7
        ("mnasnet", "mnasnet-b1"),
        ("mnasnet", "efficientnet-b0"),  # Tan & Le 2019, Section 4: "the same search space"
        ("small", "efficientnet-mini"),
    ],
)
def test_what_is_known_to_have_been_found_is_in_the_space(space_name, network):
    found = find_space(space_name)
    made = found.network(place_in(found, ZOO[network]))
    assert [(s.block, s.layers, s.channels, s.stride) for s in (made.stem, *made.stages)] == [
        (s.block, s.layers, s.channels, s.stride) for s in (ZOO[network].stem, *ZOO[network].stages)
    ]
    assert made.head == ZOO[network].head


@pytest.mark.long
@pytest.mark.parametrize("network", ["nasnet-a-large", "amoebanet-a", "pnasnet-5-large"])
def test_known_cells_are_in_the_space_of_cells(network):
    """The cells of these networks in the space's own stack, which is smaller than theirs."""
    found = find_space("cells")
    published = [stage for stage in ZOO[network].stages if isinstance(stage.block, Cell)]
    normal = next(s.block for s in published if s.stride == 1)
    reduction = replace(next(s.block for s in published if s.stride == 2), keep_previous=False)
    stack = found.network(found.sample(random.Random(0)))
    rows = tuple(replace(row, block=reduction if row.stride == 2 else normal) for row in stack.stages)
    wanted = stack.with_(stages=rows)
    assert found.network(place_in(found, wanted)).stages == rows


@pytest.mark.parametrize("name", SPACES)
def test_every_point_of_a_space_is_found_again(name):
    found = find_space(name)
    rng = random.Random(3)
    for _ in range(3):
        network = found.network(found.sample(rng))
        assert found.network(place_in(found, network)).stages == network.stages


def test_a_network_outside_of_a_space_has_no_place():
    assert place_in(find_space("small"), ZOO["efficientnet-b0"]) is None
    mini = ZOO["efficientnet-mini"]
    wider = mini.with_(stages=(*mini.stages[:3], replace(mini.stages[3], channels=104)))
    assert place_in(find_space("small"), wider) is None
    assert place_in(find_space("small"), mini.with_(head=replace(mini.head, channels=128))) is None


def test_the_size_is_the_number_of_different_networks():
    """Counted by looking at all of them, with a row that may be left out."""
    found = space(ROW, {**ROW, "channels": {"choices": [16, 24]}, "layers": {"choices": [0, 1, 2]}})
    every = [
        dict(zip([c.name for c in found.choices], v, strict=True)) for v in product(*(c.labels for c in found.choices))
    ]
    assert len(every) == 24
    assert len({found.network(parameters).stages for parameters in every}) == found.size == 2 * (1 + 2 * 2 * 2)


def test_the_paper_s_space_is_counted():
    """Seven rows of 4 operators × 2 kernels × 2 SE ratios × 3 skips × 3 widths × layers (2 where the base has 1).

    Two rows have a fourth width, of networks that were found there.
    """
    assert find_space("mnasnet").size == (4 * 2 * 2 * 3) ** 7 * 3**5 * 4**2 * 3**5 * 2**2


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


@pytest.mark.long
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
