"""Rules of other papers, in closed form: TinyNet's and ResNet-RS's lines, and groups in fast compound scaling."""

import math
from itertools import pairwise

import pytest

from compound import RULES, ZOO, CompoundRule, FastRule, Scaling, UsageError, cost, scale
from compound.blocks import Grouped
from compound.budget import Budget, fit_budget
from compound.scaling import load_rule

# Width and depth multiplier and resolution in the official code of TinyNet (and timm's `_gen_tinynet`).
TINYNETS = {
    "a": (1.0, 1.2, 192),
    "b": (0.75, 1.1, 188),
    "c": (0.54, 0.85, 184),
    "d": (0.54, 0.695, 152),
    "e": (0.51, 0.6, 106),
}


@pytest.mark.parametrize(("size", "published"), TINYNETS.items())
def test_the_rule_of_tinynet_meets_its_networks(size: str, published: tuple[float, float, int]) -> None:
    width, depth, pixels = published
    phi = math.log2(depth * width**2 * (pixels / 224) ** 2)
    factors = RULES["tinynet"](phi)
    assert vars(factors) == pytest.approx(
        {"depth": depth, "width": width, "resolution": pixels / 224, "group_width": 1}
    )
    ours, theirs = scale(ZOO["efficientnet-b0"], factors), ZOO[f"tinynet-{size}"]
    assert ours.resolution == theirs.resolution
    assert [row.channels for row in ours.stages] == [row.channels for row in theirs.stages]


@pytest.mark.parametrize("depth", [50, 101, 152, 200, 270, 350, 420])
def test_the_rule_of_resnet_rs_meets_its_networks(depth: int) -> None:
    first, other = ZOO["resnet-rs-50"], ZOO[f"resnet-rs-{depth}"]
    blocks = [sum(row.layers for row in network.stages[3:]) for network in (first, other)]
    d, r = blocks[1] / blocks[0], other.resolution / first.resolution
    factors = RULES["resnet-rs"](math.log2(d * r**2))
    assert (factors.depth, factors.width, factors.resolution) == pytest.approx((d, 1, r))
    wide = RULES["resnet-rs-wide"](math.log2(d * r**2))
    assert (wide.depth, wide.width, wide.resolution) == pytest.approx((1, math.sqrt(d), r))


@pytest.mark.parametrize("rule", ["tinynet", "resnet-rs", "resnet-rs-wide"])
def test_a_line_begins_at_the_network_counts_doublings_and_has_no_jumps(rule: str) -> None:
    assert RULES[rule](0) == Scaling()
    phis = [step / 50 for step in range(-400, 401)]
    line = [RULES[rule](phi) for phi in phis]
    for phi, factors in zip(phis, line, strict=True):
        if phi <= 0 or rule != "tinynet":  # above, α · β² · γ² is 1.92 and not 2
            assert math.log2(factors.theory) == pytest.approx(phi, abs=1e-9)
    for one, two in pairwise(line):
        for name in ("depth", "width", "resolution"):
            assert abs(math.log2(getattr(two, name) / getattr(one, name))) < 0.06


def test_above_its_networks_a_line_goes_on_with_its_mean_slope_and_below_as_it_says() -> None:
    end = math.log2(139 / 16 * 4)
    factors = RULES["resnet-rs"](2 * end)
    assert (factors.depth, factors.width, factors.resolution) == pytest.approx(((139 / 16) ** 2, 1, 4))
    assert RULES["resnet-rs"](-1) == FastRule(0.6, 0, 0.4)(-1)
    assert RULES["tinynet"](1) == CompoundRule()(1)


def test_a_budget_is_met_on_a_line() -> None:
    found = fit_budget(ZOO["efficientnet-b0"], Budget(macs=100e6), RULES["tinynet"])
    assert 90e6 < found.cost.macs <= 100e6
    larger = fit_budget(ZOO["resnet-rs-50"], Budget(macs=20e9), RULES["resnet-rs"])
    assert 17e9 < larger.cost.macs <= 20e9
    assert larger.scaling.width == pytest.approx(1)


# pycls' `scaling_factors("d1_w8_g8_r1", 4)` and so on: d, w, g, r.
PYCLS = {
    "d1_w8_g8_r1": (0.8, 4**0.1, 4**0.4, 4**0.4, 4**0.05),
    "d1_w8_g0_r1": (0.0, 4**0.1, 4**0.4, 1.0, 4**0.05),
    "d1_w8_g4_r1": (0.4, 4**0.1, 4**0.4, 4**0.2, 4**0.05),
}


@pytest.mark.parametrize(("weight", "d", "w", "g", "r"), PYCLS.values(), ids=PYCLS)
def test_groups_grow_as_in_the_official_code(weight: float, d: float, w: float, g: float, r: float) -> None:
    factors = FastRule(group_width=weight)(2)
    assert (factors.depth, factors.width, factors.resolution) == pytest.approx((d, w, r))
    assert factors.width * factors.group_width == pytest.approx(g)
    assert FastRule()(2) == Scaling(factors.depth, factors.width, factors.resolution)


def groups(factors: Scaling) -> list[int]:
    network = scale(ZOO["regnetx-032"], factors)
    assert all(row.channels % row.block.multiple == 0 for row in network.stages)
    cost(network)
    return [row.block.group_width for row in network.stages if isinstance(row.block, Grouped)]


def test_the_width_of_groups_is_scaled_by_itself_where_asked() -> None:
    assert set(groups(Scaling())) == {48}
    assert set(groups(Scaling(width=2))) == {96}
    assert set(groups(Scaling(width=2, group_width=0.5))) == {48}
    assert set(groups(Scaling(group_width=0.5))) == {24}
    assert set(groups(FastRule(group_width=0)(2))) == {48}
    same = scale(ZOO["efficientnet-b0"], Scaling(width=2, group_width=0.5))
    assert same.stages == scale(ZOO["efficientnet-b0"], Scaling(width=2)).stages


def test_a_rule_file_may_name_the_weight_of_groups(tmp_path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "rule.yaml"
    file.write_text("{rule: fast, depth: 0.1, width: 0.8, resolution: 0.1, group_width: 0}")
    assert load_rule(file) == FastRule(group_width=0)
    with pytest.raises(UsageError, match=r"fast rule group_width 2 is not between 0 and 1; use e.g. 0.8"):
        FastRule(group_width=2)
