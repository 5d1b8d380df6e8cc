"""Inception, Xception and PolyNet: counts from other programs, scaling, notation, and errors. No torch."""

import pytest

from compound import (
    ZOO,
    Budget,
    NetworkError,
    Scaling,
    Stage,
    Style,
    cost,
    dump_network,
    fit_budget,
    parse_network,
    scale,
)
from compound.blocks import Block, Branch, Inception, InceptionResidual, Xception
from compound.ops import Activation, Conv, Poly, Shape, Trace

# network: parameters, MACs with 1000 classes, counted by torch's FlopCounterMode in the models of timm 1.0.31,
# torchvision 0.29 and pretrainedmodels 0.7.4 (PolyNet)
EXACT = {
    "inception-v3": (23_834_568, 5_713_216_096),
    "inception-v4": (42_679_816, 12_253_974_624),
    "inception-resnet-v2": (55_843_464, 13_155_794_016),
    "xception": (22_855_952, 8_357_403_496),
    "polynet": (95_366_600, 34_699_493_472),
}
# Shapes as the sources write them: Szegedy et al. 2016, Table 1; 2017, Figs. 3–22; Chollet 2017, Fig. 5; the port.
LAST_MAP = {
    "inception-v3": (2048, 8, 8),
    "inception-v4": (1536, 8, 8),
    "inception-resnet-v2": (2080, 8, 8),
    "xception": (2048, 10, 10),
    "polynet": (2048, 9, 9),
}


@pytest.mark.parametrize(("name", "figures"), EXACT.items())
def test_params_and_macs(name: str, figures: tuple[int, int]) -> None:
    counted = cost(ZOO[name])
    assert (counted.params, counted.macs) == figures


def test_polynet_as_table_2_of_efficientnet_prints_it() -> None:
    """35B as printed. 92M is what the convolutions alone have, cut to millions; norms and classifier come on top."""
    counted = cost(ZOO["polynet"])
    norms, classifier = 361_088, 2048 * 1000 + 1000
    assert round(counted.macs / 1e9) == 35
    assert (counted.params - norms - classifier) // 10**6 == 92


@pytest.mark.parametrize(("name", "shape"), LAST_MAP.items())
def test_what_the_head_receives(name: str, shape: Shape) -> None:
    assert ZOO[name].blocks()[-1].input == shape
    assert ZOO[name].total_stride == 32


@pytest.mark.parametrize("name", EXACT)
def test_every_stage_has_the_channels_it_says(name: str) -> None:
    network = ZOO[name]
    for row in network.blocks()[1:-1]:
        assert row.output[0] == network.stages[row.stage - 1].channels


@pytest.mark.parametrize("name", EXACT)
def test_width_scales_the_branches(name: str) -> None:
    """Half of all widths is about a quarter of the parameters; not so where branches kept theirs."""
    network = ZOO[name]
    scaled = scale(network, Scaling(width=0.5))
    assert cost(scaled).params / cost(network).params == pytest.approx(0.26, abs=0.025)
    assert parse_network(dump_network(scaled)) == scaled


@pytest.mark.parametrize("name", EXACT)
def test_depth_leaves_stems_and_reductions(name: str) -> None:
    deep = scale(ZOO[name], Scaling(depth=2))
    strided = [stage for stage in deep.stages if stage.stride > 1 and not isinstance(stage.block, Xception)]
    assert {stage.layers for stage in strided} <= {1}
    assert max(stage.layers for stage in deep.stages) == 2 * max(stage.layers for stage in ZOO[name].stages)


@pytest.mark.parametrize("width", [0.01, 0.1, 0.21, 0.33, 4])
@pytest.mark.parametrize("name", EXACT)
def test_any_width_is_a_network(name: str, width: float) -> None:
    assert cost(scale(ZOO[name], Scaling(width=width))).macs > 0


def test_terms_of_a_poly_share_their_convolutions() -> None:
    """Three terms: one set of `paths`, three projections; every term works."""
    trace = Trace(Poly(Conv(4, 3), Conv(8), Activation("relu"), 3), (8, 5, 5))
    shapes = [[trace.shapes[value] for value in step.inputs] for step in trace.steps]
    counts = [(s.operator.params(*i), s.operator.macs(*i)) for s, i in zip(trace.steps, shapes, strict=True)]
    assert sum(params for params, _ in counts) == 9 * 8 * 4 + 3 * 4 * 8
    assert sum(macs for _, macs in counts) == 25 * 3 * (9 * 8 * 4 + 4 * 8)


def test_a_map_that_vanishes_is_an_error_that_names_the_stage() -> None:
    with pytest.raises(NetworkError, match=r"inception-v3 at 40 px: stage 9: nothing is left of a 2×2 map; use a larg"):
        ZOO["inception-v3"].with_(resolution=40).blocks()


def test_a_budget_ends_where_the_maps_do() -> None:
    plan = fit_budget(ZOO["inception-v3"], Budget(macs=5e7))
    assert plan.network.resolution >= 75  # torchvision's `min_size`
    assert 4e7 < plan.cost.macs <= 5e7


ONE = Branch(((1, 8),))
WRONG: list[tuple[Block, str]] = [
    (Inception(()), "branches is empty"),
    (Inception((ONE,)), "0 branches end in 0 channels; write 0"),
    (Inception((Branch(((1, 0),)), Branch(((1, 0),)))), "2 branches end in 0 channels"),
    (Inception((Branch(),)), "a branch is empty; give it convs"),
    (Inception((Branch(ends=((1, 0),)),)), "ends but no convs"),
    (Inception((Branch(((1, 0), (3, 8))),)), "channels 0 inside a branch"),
    (Inception((Branch(((0, 0),)),)), "window 0 of a branch"),
    (Inception((ONE, Branch(((3, 0),))), valid=True), r"windows of \[\(1, 1\), \(3, 3\)\]"),
    (InceptionResidual(()), "branches is empty"),
    (InceptionResidual((ONE,), units=()), "units is empty"),
    (InceptionResidual((Branch(((1, 0),)),)), "the projection leaves none open"),
    (InceptionResidual((ONE,), units=((0, 1),)), r"unit \[0, 1\] has less than one"),
    (Xception(repeats=0), "repeats 0 is less than one; use 3"),
]


@pytest.mark.parametrize(("block", "says"), WRONG)
def test_errors_of_blocks(block: Block, says: str) -> None:
    with pytest.raises(NetworkError, match=f"stage 1: .*{says}"):
        ZOO["inception-v3"].with_(stages=(Stage(block, 1, 16),))


def test_open_branch_gets_what_is_left() -> None:
    block = Inception((Branch(((1, 0),)), Branch(((1, 24),)), Branch(pool="max")))
    trace = Trace(block.operators(16, 64, 1, Style()), (16, 8, 8))
    convs = [step.operator.channels for step in trace.steps if isinstance(step.operator, Conv)]
    assert convs == [24, 24]
    assert trace.shapes[trace.output] == (64, 8, 8)
