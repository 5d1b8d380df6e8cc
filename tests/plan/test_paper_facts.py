"""What the paper says about cost, counted: Sections 3.2 and 3.3, Tables 2, 3 and 7 of Tan & Le 2019."""

import math

import pytest

from compound import RULES, ZOO, CompoundRule, FastRule, Scaling, cost, scale
from compound.ops import Conv, Depthwise, Shape

B0 = ZOO["efficientnet-b0"]
SINGLE = {"d": Scaling(depth=4), "w": Scaling(width=2), "r": Scaling(resolution=2), "dwr": Scaling(1.4, 1.2, 1.3)}


def giga(network: str, scaling: str) -> float:
    return cost(scale(ZOO[network], SINGLE[scaling])).macs / 1e9


@pytest.mark.parametrize(("scaling", "printed"), [("d", 1.58), ("w", 1.45), ("r", 1.54), ("dwr", 1.80)])
def test_table_7_single_dimensions_count_less_than_printed(scaling: str, printed: float) -> None:
    assert giga("efficientnet-b0", scaling) == pytest.approx(printed, abs=0.005)


def test_table_7_gave_the_compound_net_12_to_19_percent_more() -> None:
    single = [giga("efficientnet-b0", "dwr") / giga("efficientnet-b0", one) - 1 for one in "dwr"]
    assert 0.12 < min(single) < max(single) < 0.25
    assert 1 - giga("efficientnet-b0", "w") / 1.80 == pytest.approx(0.19, abs=0.01)
    assert 1 - giga("efficientnet-b0", "d") / 1.80 == pytest.approx(0.12, abs=0.01)


@pytest.mark.parametrize(
    ("network", "scaling", "counted"),
    [
        ("resnet-50", "d", 14.6),  # printed 16.2: the two cells are exchanged
        ("resnet-50", "w", 16.1),  # printed 14.7
        ("resnet-50", "r", 16.4),
        ("mobilenet-v1", "w", 2.2),
        ("mobilenet-v2", "d", 1.2),
        ("mobilenet-v2", "w", 1.1),
        ("mobilenet-v2", "r", 1.2),
    ],
)
def test_table_3_other_networks(network: str, scaling: str, counted: float) -> None:
    assert round(giga(network, scaling), 1) == counted


@pytest.mark.parametrize(("phi", "ratio"), [(1, 2.57), (2, 4.69), (7, 102.8)])
def test_macs_do_not_double_with_phi(phi: float, ratio: float) -> None:
    counted = cost(scale(B0, CompoundRule()(phi))).macs / cost(B0).macs
    assert float(f"{counted:.4g}" if ratio > 100 else f"{counted:.3g}") == ratio


def test_raw_phi_1_has_exactly_the_parameters_of_b2() -> None:
    raw = scale(B0, CompoundRule()(1))
    assert raw.resolution == 258
    assert cost(raw).params == cost(ZOO["efficientnet-b2"]).params == 9_109_994


@pytest.mark.parametrize(("phi", "near"), [(2, "b3"), (5, "b5"), (6, "b6"), (7, "b7")])
def test_raw_phi_is_near_a_published_variant(phi: int, near: str) -> None:
    names = [f"efficientnet-b{i}" for i in range(9)]
    raw = scale(B0, CompoundRule()(phi))

    def gap(name: str) -> float:
        return abs(math.log(cost(raw).params / cost(ZOO[name]).params))

    assert min(names, key=gap) == f"efficientnet-{near}"
    assert raw.resolution == pytest.approx(ZOO[f"efficientnet-{near}"].resolution, rel=0.02)


def test_phi_1_turns_16_blocks_into_23() -> None:
    assert sum(stage.layers for stage in B0.stages) == 16
    assert sum(stage.layers for stage in scale(B0, CompoundRule()(1)).stages) == 23


@pytest.mark.parametrize(("name", "gap"), [("b4", 0.046), ("b5", 0.037), ("b7", 0.020)])
def test_where_print_and_count_part(name: str, gap: float) -> None:
    printed = {"b4": 4.2e9, "b5": 9.9e9, "b7": 37e9}[name]
    assert cost(ZOO[f"efficientnet-{name}"]).macs / printed - 1 == pytest.approx(gap, abs=0.0005)


def test_worked_example_separable_convolution_at_64_px() -> None:
    """K=3, H=W=64, D=N=256: 2.4E9, 9.5E6 and 2.8E8 multiply-adds, in the lectures' notation."""
    shape: Shape = (256, 64, 64)
    full, depthwise = Conv(256, 3).macs(shape), Depthwise(3).macs(shape)
    separable = depthwise + Conv(256, 1).macs(shape)
    assert [f"{n:.2g}" for n in (full, separable)] == ["2.4e+09", "2.8e+08"]
    assert depthwise == 9 * 64 * 64 * 256
    assert math.floor(depthwise / 1e5) / 10 == 9.4  # 9,437,184; the lecture prints 9.5E6


def test_worked_example_weights_16_to_32_channels() -> None:
    shape: Shape = (16, 8, 8)
    assert Conv(32, 3).params(shape) == 4_608
    assert Depthwise(3).params(shape) + Conv(32, 1).params(shape) == 656


@pytest.mark.parametrize("phi", [-3.0, 0.0, 1.0, 2.5, 7.0])
def test_fast_rule_is_the_papers(phi: float) -> None:
    s = 2**phi
    scaling = FastRule()(phi)
    assert (scaling.depth, scaling.width, scaling.resolution) == pytest.approx((s**0.1, s**0.4, s**0.05))
    assert scaling.theory == pytest.approx(s)


def test_one_dimension_rules_give_it_all() -> None:
    assert RULES["depth"](2) == Scaling(depth=4)
    assert RULES["width"](2) == Scaling(width=2)
    assert RULES["resolution"](2) == Scaling(resolution=2)
    assert RULES["uniform"](3).theory == pytest.approx(8)
    assert RULES["compound"](1) == Scaling(1.2, 1.1, 1.15)


def test_the_papers_coefficients_about_double_the_cost() -> None:
    assert CompoundRule()(1).theory == pytest.approx(1.92, abs=0.005)


def test_survival_falls_linearly_with_the_block() -> None:
    """Section 5.2 with official code: 1 − 0.2 · i / n over the n blocks, i from 0; stem and head always survive."""
    rows = B0.blocks()
    assert [row.survival for row in rows] == pytest.approx([1.0, *(1 - 0.2 * i / 16 for i in range(16)), 1.0])
