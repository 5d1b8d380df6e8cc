"""Cell networks: counts against timm and the publications, genotypes as data, edges where two maps enter a block."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import example, given

from compound import ZOO, Network, NetworkError, Scaling, Stage, cost, scale
from compound.blocks import BareConv, Cell, ConvBlock, Style
from compound.cost import numbers
from compound.notation import dump_network, parse_network
from compound.ops import Activation, Dropout, Flatten, Operator, Slice
from tests.strategies import networks

CELLS = [name for name in ZOO if name.startswith(("nasnet", "pnasnet", "amoebanet"))]
# timm 1.0.31: parameters of the live model, FlopCounterMode / 2 at 331 px
EXACT = {
    "nasnet-a-large": (88_753_150, 23_783_414_658),
    "pnasnet-5-large": (86_057_668, 24_937_395_792),
}
# network: parameters in M and multiply-adds in B as printed, and how far print may be off
PRINTED = {
    "nasnet-a-mobile": ("5.3", "0.564"),  # Zoph et al. 2018, Table 3
    "amoebanet-a-6-190": ("86.7", "23.1"),  # Real et al. 2019, Table 2
    "amoebanet-c-6-228": ("155", "41"),  # Tan & Le 2019, Table 2
}


@pytest.mark.parametrize(("name", "figures"), EXACT.items())
def test_params_and_macs_of_timm(name: str, figures: tuple[int, int]) -> None:
    counted = cost(ZOO[name])
    assert (counted.params, counted.macs) == figures


@pytest.mark.parametrize(("name", "figures"), PRINTED.items())
def test_params_and_macs_to_the_printed_digit(name: str, figures: tuple[str, str]) -> None:
    def digits(count: float, printed: str) -> str:
        return f"{count:.{len(printed.partition('.')[2])}f}"

    counted = cost(ZOO[name])
    assert (digits(counted.params / 1e6, figures[0]), digits(counted.macs / 1e9, figures[1])) == figures


def test_where_print_and_count_part() -> None:
    # Liu et al. 2018, Table 5: 5.1M and 588M, counted 0.1 % less. Real et al. 2019, Table 2: (6, 448) has 469M and 104B.
    mobile, large = cost(ZOO["pnasnet-5-mobile"]), cost(ZOO["amoebanet-a-6-448"])
    assert (round(mobile.params / 1e6, 1), round(mobile.macs / 1e6)) == (5.1, 587)
    assert (round(large.params / 1e6), round(large.macs / 1e9)) == (468, 104)
    # Huang et al. 2019, Section 4: AmoebaNet-B (18, 512) at 480 px has 557M parameters.
    assert round(cost(ZOO["AmoebaNet-B (18, 512)"]).params / 1e6) == 557


def test_gpipes_amoebanet_ds() -> None:
    # Huang et al. 2019, Table 1: AmoebaNet-D (L, D) of 318M, 1.05B and 1.8B parameters; L counts normal cells.
    from compound.zoo.amoebanet import amoebanet

    sizes = {(18, 416): "0.318", (36, 544): "1.05", (72, 512): "1.8"}
    for (cells, filters), printed in sizes.items():
        billions = cost(amoebanet("d", cells // 3, filters, 224)).params / 1e9
        assert f"{billions:.{len(printed) - 2}f}" == printed


@pytest.mark.parametrize("name", CELLS)
def test_round_trip_through_yaml(name: str) -> None:
    assert parse_network(dump_network(ZOO[name])) == ZOO[name]


def test_a_genotype_in_yaml() -> None:
    network = parse_network(
        "{name: own, resolution: 32, stem: {block: bare-conv, channels: 8, stride: 2}, stages: [{block: cell,"
        " nodes: [[[0, 1], [separable-3x3, identity]]], joined: [0, 2], layers: 2, channels: 8}]}"
    )
    assert network.stages[0].block == Cell((((0, 1), ("separable-3x3", "identity")),), (0, 2))
    assert [row.output[0] for row in network.blocks()[1:-1]] == [16, 16]
    assert "cell 1 nodes, joined (0, 2)" in network.table()


@pytest.mark.parametrize("name", CELLS)
def test_depth_scales_normal_cells_and_width_the_filters(name: str) -> None:
    network = ZOO[name]
    scaled = scale(network, Scaling(depth=1.5, width=1.3, resolution=1.2))
    for old, new in zip(network.stages, scaled.stages, strict=True):
        assert (new.block, new.stride) == (old.block, old.stride)
        assert new.layers == (1 if "depth" in old.fixed else -(-old.layers * 3 // 2))
        assert abs(new.channels / (1.3 * old.channels) - 1) < 0.15 or new.channels == 16  # multiples of 8
    assert cost(scaled).macs > cost(network).macs


@pytest.mark.parametrize(
    ("node", "joined", "sentence"),
    [
        (((0, 2), ("identity", "identity")), (2,), "node 2 reads state 2; use 0 to 1, which come before it"),
        (((0, 1), ("identity", "seperable-3x3")), (2,), "there is no operation 'seperable-3x3'; use e.g. identity, "),
        (((0, 1), ("identity", "separable-4x4")), (2,), "there is no operation 'separable-4x4'; use e.g. identity, "),
        (((0, 1), ("identity", "max-3x3")), (3,), "joined has state 3; use 0 to 2"),
        (((0, 1), ("identity", "max-3x3")), (), "joined names no state, so nothing leaves the cell"),
        (((0, 1), ("identity", "max-3x3")), (0, 1), "node 2 is read by nothing; add 2 to joined, or drop the node"),
    ],
)
def test_errors_name_node_and_remedy(node: tuple, joined: tuple, sentence: str) -> None:
    with pytest.raises(NetworkError) as error:
        Network("own", Stage(ConvBlock(), 1, 8), (Stage(Cell((node,), joined), 1, 8),))
    assert str(error.value).startswith(f"stage 1: {sentence}")


def test_maps_that_striding_does_not_relate_are_refused() -> None:
    cell = Cell((((0, 1), ("identity", "identity")),), (2,))
    network = Network("own", Stage(ConvBlock(), 1, 8), (Stage(BareConv(5), 1, 8), Stage(cell, 2, 8)), resolution=20)
    with pytest.raises(NetworkError, match="a cell cannot fit the map before its input, 20×20, to 16×16; stride by 2"):
        network.blocks()


def unrolled(network: Network) -> Iterator[tuple[Operator, list[int], int, list[tuple[int, int, int]]]]:
    """Every leaf operator of the network with values numbered through, and the shapes of what it reads."""
    rows = network.blocks()
    entries, count = [0], 1
    for row in rows:
        local = [entries[-1]] + ([entries[row.previous]] if row.previous is not None else [])
        for step in row.trace.steps:
            local.append(count)
            yield (
                step.operator,
                [local[value] for value in step.inputs],
                count,
                [row.trace.shapes[v] for v in step.inputs],
            )
            count += 1
        entries.append(local[row.trace.output])


RAW = Cell((((0, 1), ("identity", "max-3x3")),), (2,))  # pools the map before its input as it is, and so keeps it
CHAIN = Network("chain", Stage(ConvBlock(), 1, 8), (Stage(RAW, 4, 8),), resolution=8, style=Style("relu"))


@given(networks())
@example(CHAIN)
@example(CHAIN.with_(stages=(Stage(RAW, 2, 8), Stage(replace(RAW, keep_previous=True), 2, 8))))
@pytest.mark.slow
def test_kept_and_live_numbers_are_those_of_the_whole_graph(network: Network) -> None:
    """Block by block, with maps carried along, counts what a pass over all operators at once counts."""
    steps = list(unrolled(network))
    sizes = {0: 3 * network.resolution**2}
    kept, aside, last, home = set(), 0, {}, {0: 0}  # `home`: the value in whose memory each one lies
    for index, (operator, values, output, shapes) in enumerate(steps):
        sizes[output] = numbers(operator.out(*shapes))
        passed = isinstance(operator, Dropout | Flatten | Slice) or operator == Activation("identity")
        home[output] = home[values[0]] if passed else output
        aside += operator.keeps_aside(*shapes)
        kept |= {*(values if operator.keeps_input else ()), *([output] if operator.keeps_output else ())}
        last |= dict.fromkeys([home[value] for value in values], index)
    counted = cost(network)
    assert counted.kept == aside + sum(sizes[value] for value in kept - {steps[-1][2]})
    alive = most = sizes[0]
    for index, (_, _, output, _) in enumerate(steps):
        alive += sizes[output] if home[output] == output else 0
        most = max(most, alive)
        alive -= sum(sizes[value] for value, end in last.items() if end == index)
    assert counted.live >= most  # and more where a chain of modules holds its input to its end: see tests/measurement
