"""A network as YAML: the exact round trip, and what the reader says about a wrong file."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compound import (
    ZOO,
    Block,
    Network,
    NetworkError,
    Scaling,
    Style,
    cost,
    dump_network,
    load_network,
    parse_network,
    save_network,
    scale,
)
from compound.notation import dump_architecture, load_run_network
from compound.ops import Chain, Concat, Operator
from tests.strategies import networks

FILE = """\
name: n
resolution: 32
stem: {block: conv, channels: 16}
stages:
- {block: mbconv, kernel: 3, expand: 1, layers: 1, channels: 16}
- {block: mbconv, kernel: 5, expand: 6, layers: 2, channels: 24, stride: 2}
"""


@pytest.mark.long
@given(networks(), st.integers(1, 20_000), st.integers(1, 12))
def test_round_trip_of_random_networks(network: Network, classes: int, channels: int) -> None:
    for one in (network, network.with_(classes=classes, channels=channels)):
        assert parse_network(dump_network(one)) == one


@pytest.mark.parametrize("name", sorted(ZOO))
def test_round_trip_of_the_zoo(name: str) -> None:
    assert parse_network(dump_network(ZOO[name])) == ZOO[name]


def test_defaults_fill_what_a_file_leaves_out() -> None:
    network = parse_network(FILE)
    assert network.stem.layers == 1
    assert network.stages[1].block == type(ZOO["efficientnet-b0"].stages[0].block)(kernel=5, expand=6, se=0.25)
    assert network.style == Style()
    assert dump_network(network).count("\n") == 6  # one line a stage


def test_classes_and_channels_are_written_where_they_are_not_imagenets() -> None:
    assert "classes" not in dump_network(ZOO["resnet-50"])
    assert dump_network(ZOO["resnet-50"].with_(classes=10)).endswith("\nclasses: 10\n")
    network = parse_network(FILE + "classes: 7\nchannels: 1\n")
    assert (network.classes, network.channels) == (7, 1)
    assert dump_architecture(network) == dump_network(parse_network(FILE)) != dump_network(network)
    assert len({network, parse_network(FILE), parse_network(FILE + "classes: 7\n")}) == 3


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("classes: 0", "net.yaml: classes 0 is less than one; use as many as there are to tell apart"),
        ("channels: -1", "net.yaml: channels -1 is less than one; use 1 for grey images or 3 for RGB"),
        ("classes: ten", "net.yaml: classes 'ten' is"),
    ],
)
def test_impossible_classes_and_channels_are_refused(line: str, sentence: str) -> None:
    with pytest.raises(NetworkError) as caught:
        parse_network(f"{FILE}{line}\n", "net.yaml")
    assert str(caught.value).startswith(sentence)


def test_a_folder_s_network_is_for_the_data_of_its_run(tmp_path: Path) -> None:
    save_network(ZOO["resnet-18"], tmp_path / "network.yaml")
    assert load_run_network(tmp_path) == ZOO["resnet-18"]
    (tmp_path / "run.yaml").write_text("data: {classes: [a, b], channels: 1}")
    assert load_run_network(tmp_path) == ZOO["resnet-18"].with_(classes=2, channels=1)
    for text in ("data: {classes: [a, b]}", "data: {classes: [], channels: 1}", "- [", "a"):
        (tmp_path / "run.yaml").write_text(text)
        with pytest.raises(NetworkError, match=r"run\.yaml"):
            load_run_network(tmp_path)


def test_files_are_written_read_and_named_by_the_path(tmp_path: Path) -> None:
    path = save_network(ZOO["resnet-50"], tmp_path / "net.yaml")
    assert load_network(path) == ZOO["resnet-50"]
    path.write_text(FILE.replace("name: n\n", ""))
    assert load_network(path).name == "net"
    assert [p.name for p in tmp_path.iterdir()] == ["net.yaml"]


MESSAGES = [
    ("kernel: 5", "kernel: 4", "net.yaml: stage 2: kernel 4 is even; use 3, 5 or 7"),
    ("kernel: 5", "kernel: 12", "net.yaml: stage 2: kernel 12 is even; use 11 or 13"),
    ("kernel: 5", "kernel: -3", "net.yaml: stage 2: kernel -3 is not positive; use 3, 5 or 7"),
    ("kernel: 5", "kernell: 5", "net.yaml: stage 2: there is no field 'kernell'; did you mean 'kernel'?"),
    (": mbconv, kernel: 5", ": mbcnv", "net.yaml: stage 2: there is no block 'mbcnv'; did you mean 'mbconv' or 'conv'?"),
    ("layers: 2", "layers: 0", "net.yaml: stage 2: layers 0 is less than one; use 1 or more, or drop the stage"),
    ("layers: 2, ", "", "net.yaml: stage 2: field 'layers' is missing; give it a value"),
    ("stride: 2", "stride: 3", "net.yaml: stage 2: stride 3 is not possible; use 1 to keep the resolution or 2 to halve it"),
    ("channels: 24", "channels: 0", "net.yaml: stage 2: channels 0 is less than one; use a multiple of 8, such as 16"),
    ("expand: 6", "expand: 0", "net.yaml: stage 2: expand 0.0 is not a positive number; use 1, 4 or 6"),
    ("expand: 6", "expand: .inf", "net.yaml: stage 2: expand inf is not a positive number; use 1, 4 or 6"),
    ("expand: 6", "expand: 0.01", "net.yaml: stage 2: expand 0.01 leaves no channel of 16; use 1, 4 or 6"),
    ("expand: 6", "se: 3", "net.yaml: stage 2: se 3.0 is not a ratio; use 0 for none or up to 1, usually 0.25"),
    ("channels: 16}\nst", "channels: -1}\nst", "net.yaml: stem: channels -1 is less than one; use a multiple of 8, such as 16"),
    ("resolution: 32", "resolution: 0", "net.yaml: resolution 0 is less than one pixel; use e.g. 224, or 28 for small images"),
    ("resolution:", "resolutoin:", "net.yaml: there is no field 'resolutoin'; did you mean 'resolution'?"),
    ("name: n", "dropout: 1", "net.yaml: dropout 1.0 is not a rate; use 0 for none or less than 1, such as 0.2"),
    ("name: n", "survival: 0", "net.yaml: survival 0.0 is not a probability above 0; use 1 for none, such as 0.8"),
    ("name: n", "divisor: 0", "net.yaml: divisor 0 is less than one; use 8"),
    ("name: n", "head: {channels: 0}", "net.yaml: head: channels 0 is less than one; use e.g. 1280, or leave it out"),
    ("name: n", "head: {classify_maps: true, hidden: [8]}", "net.yaml: head: classify_maps pools class scores; leave out hidden, pool and norm_pooled"),
    ("name: n", "head: 3", "net.yaml: head: 3 is not a list of fields; write {field: value, …}"),
    ("stem: {block: conv, channels: 16}\n", "", "net.yaml: stem is missing; write e.g. stem: {block: conv, channels: 32, stride: 2}"),
    ("{block: mbconv, kernel: 5", "{kernel: 5", "net.yaml: stage 2: no block is named; write e.g. {block: mbconv, layers: 1, channels: 16}"),
]  # fmt: skip


@pytest.mark.parametrize(("right", "wrong", "sentence"), MESSAGES, ids=[m[1].strip()[:20] for m in MESSAGES])
def test_errors_name_stage_field_value_and_remedy(right: str, wrong: str, sentence: str) -> None:
    assert right in FILE
    with pytest.raises(NetworkError) as error:
        parse_network(FILE.replace(right, wrong), "net.yaml")
    assert str(error.value) == sentence
    assert error.value.exit_code == 2


BOTTLENECKS = [
    ("groups: 0", "stage 1: groups 0 is less than one; use 1, or e.g. 32 for ResNeXt"),
    ("reduce: 0", "stage 1: reduce 0 is less than one; use 4, or 1 for a bottleneck that keeps the width"),
    ("reduce: 64", "stage 1: reduce 64 leaves no channel of 24; use 4, or 1 for a bottleneck that keeps the width"),
    ("groups: 5", "stage 1: groups 5 do not divide the 6 channels inside the block; use channels that are a multiple of 20"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "sentence"), BOTTLENECKS)
def test_groups_and_reduction_must_suit_the_channels(fields: str, sentence: str) -> None:
    text = f"stem: {{block: conv, channels: 8}}\nstages: [{{block: bottleneck, {fields}, layers: 1, channels: 24}}]"
    with pytest.raises(NetworkError) as error:
        parse_network(text, "net.yaml")
    assert str(error.value) == f"net.yaml: {sentence}"


@pytest.mark.parametrize(
    ("right", "wrong", "begins"),
    [
        ("layers: 2", "layers: two", "net.yaml: stage 2: layers 'two' is not valid: "),
        ("layers: 2", "layers: 2.5", "net.yaml: stage 2: layers 2.5 is not valid: "),
        ("layers: 2", "layers: true", "net.yaml: stage 2: layers True is not valid: "),
        ("name: n", "style: {activation: swosh}", "net.yaml: style: activation 'swosh' is not valid: input should be 'relu'"),
        ("stride: 2", "fixed: [dept]", "net.yaml: stage 2: fixed.0 'dept' is not valid: "),
        ("block: mbconv, kernel: 5, expand: 6", "block: conv, padding: -1", "net.yaml: stage 2: padding '-1' is unknown; "),
        ("name: n", "head: {fixed: [widht]}", "net.yaml: head: fixed.0 'widht' is not valid: input should be 'width'"),
        ("name: n", "style: {norm_eps: -1}", "net.yaml: style: norm_eps -1.0 is not above 0; "),
        ("name: n", "style: {norm_eps: .nan}", "net.yaml: style: norm_eps nan is not above 0; "),
        ("name: n", "style: {norm_groups: 0}", "net.yaml: style: norm_groups 0 is less than one; "),
        ("name: n", "inputs: {std: [0]}", "net.yaml: inputs: std (0.0,) divides; "),
        ("name: n", "inputs: {mean: [.inf]}", "net.yaml: inputs: mean (inf,) is subtracted; "),
        ("name: n", "inputs: {margin: -5}", "net.yaml: inputs: margin -5 is less than no pixel; "),
        ("name: n", "colour: 1", "net.yaml: there is no field 'colour'; known fields: name, stem, stages, head"),
        ("kernel: 5", "kernel: [1", "net.yaml line 6: not valid YAML: "),
        ("stages:\n", "stages: []\nx:\n", "net.yaml: there is no field 'x'; "),
    ],
)  # fmt: skip
def test_errors_of_type_and_syntax(right: str, wrong: str, begins: str) -> None:
    with pytest.raises(NetworkError) as error:
        parse_network(FILE.replace(right, wrong), "net.yaml")
    assert str(error.value).startswith(begins)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "- 1", "hello", "name: n\nstem: {}", "name: n\nstages: []"])
def test_what_is_not_a_network_is_refused(text: str) -> None:
    with pytest.raises(NetworkError, match=r"^net\.yaml: (not a network|stages is missing or empty)"):
        parse_network(text, "net.yaml")


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match=r"cannot read network file .*none\.yaml: No such file or directory; check"):
        load_network(tmp_path / "none.yaml")
    (tmp_path / "photo.yaml").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(NetworkError, match=r"photo\.yaml is not text in UTF-8; check the path"):
        load_network(tmp_path / "photo.yaml")


@dataclass(frozen=True)
class TwoWayBlock(Block):
    """A user's own: two convolutions side by side."""

    kernel: int = 3

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        half = out // 2
        return Chain.of(both=Concat((style.conv(half, self.kernel, stride), style.conv(out - half, 1, stride))))


def test_a_users_own_block_works_in_yaml_cost_and_scale() -> None:
    network = parse_network(FILE.replace("mbconv, kernel: 5, expand: 6", "two-way, kernel: 5"))
    row = network.stages[1]
    assert row.block == TwoWayBlock(5)
    assert parse_network(dump_network(network)) == network
    with_base = cost(network).params - cost(replace(network, stages=network.stages[:1])).params
    # 12 maps by 5×5 and 12 by 1×1, norms of 24, twice; and the classifier is wider by 8
    assert with_base == 12 * 26 * (16 + 24) + 2 * 2 * 24 + 8 * 1000
    doubled = scale(network, Scaling(width=2)).stages[1]
    assert (doubled.block, doubled.channels) == (row.block, 48)
    with pytest.raises(NetworkError, match="stage 2: kernel 4 is even"):
        replace(network, stages=(network.stages[0], replace(row, block=TwoWayBlock(4))))
