"""The networks of a plan: equal multiply-adds where they can be had, and a word where not."""

import itertools
import math

import pytest

from compound import ZOO, CompoundRule, Scaling, cost, parse_network, scale
from compound.errors import UsageError
from compound.latency import DeviceTable, units
from compound.studies.plan import FOLDER, find_plan
from compound.studies.variants import Layout

B0, MINI = ZOO["efficientnet-b0"], ZOO["efficientnet-mini"]


def layout(plan, baseline=B0, **changes):
    return Layout(find_plan(plan), baseline, **changes)


def test_the_papers_comparison_at_equal_multiply_adds():
    made = layout("compound")
    by = {variant.dimension: variant for variant in made.variants}
    assert list(by) == ["baseline", "depth", "width", "resolution", "compound"]
    counted = [cost(made.networks[v.name]).macs for v in made.variants]
    assert counted == [v.macs for v in made.variants]
    assert max(counted[1:]) / min(counted[1:]) <= 1.01
    assert all(abs(macs / 385_814_752 / 4 - 1) < 0.1 for macs in counted[1:])  # PAPER: B0 counts 385,814,752
    assert made.notes == ()
    # Equations 2 and 3: one factor alone, and for the compound net α^φ, β^φ, γ^φ of one φ.
    for name in ("depth", "width", "resolution"):
        factors = {"depth": by[name].depth, "width": by[name].width, "resolution": by[name].resolution_factor}
        assert factors.pop(name) > 1.5
        assert set(factors.values()) == {1.0}
    assert by["depth"].resolution == by["width"].resolution == 224
    for variant in made.variants:
        factors = Scaling(variant.depth, variant.width, variant.resolution_factor)
        assert scale(B0, factors, "x") == made.networks[variant.name].with_(name="x")


@pytest.mark.long
def test_other_costs_have_levels_of_their_own():
    made = layout("single", ratio=8)
    rows = [v for v in made.variants if v.dimension != "baseline"]
    assert len(rows) == 12
    for level in range(4):
        macs = [v.macs for v in rows[level::4]]
        assert max(macs) / min(macs) <= 1.01
        assert macs[0] / 385_814_752 == pytest.approx(8 ** ((level + 1) / 4), rel=0.16)


def test_what_cannot_be_equal_is_said():
    """Five rows of one layer each: depth can only double, triple, …"""
    text = "\n".join(
        [
            "name: stubborn\nresolution: 32\nstem: {block: conv, channels: 64}\nstages:",
            "- {block: fused-mbconv, kernel: 3, expand: 1, layers: 1, channels: 64}",
            "head: {channels: 64}\ndivisor: 64\ninputs: {margin: 0}",
        ]
    )
    made = layout("compound", parse_network(text), ratio=2.6)
    assert "no nets of equal macs within 1%" in made.notes[0]
    assert {v.dimension for v in made.variants} == {"baseline", "depth", "width", "resolution", "compound"}


def test_widths_are_trimmed_where_the_lines_do_not_meet():
    made = layout("compound", MINI.with_(classes=10, channels=1))
    macs = [v.macs for v in made.variants[1:]]
    assert max(macs) / min(macs) <= 1.025
    assert all(abs(v.width - 1) < 0.08 for v in made.variants if v.dimension in ("depth", "resolution"))


def test_the_given_rule_is_used_and_equal_networks_are_trained_once():
    own = CompoundRule(1.3, 1.05, 1.1)
    made = layout("rules", rule=own)
    assert [v.dimension for v in made.variants] == ["baseline", "compound", "searched", "fast", "uniform"]
    searched = made.variants[2]
    assert searched.depth > made.variants[1].depth
    same = layout("rules")
    assert [v.dimension for v in same.variants] == ["baseline", "compound", "fast", "uniform"]
    assert any("is the same net as compound" in said for said in same.notes)
    assert any("--device FILE" in said for said in same.notes)


@pytest.mark.long
def test_equal_latency_where_a_device_is_given():
    """A device whose time goes with the root of the work: equal multiply-adds are not equal times there."""
    seen = set()
    for factors in itertools.product((0.6, 1, 2), (0.6, 1, 2), (0.6, 1, 1.2, 2.2)):
        for row in scale(MINI, Scaling(*factors)).with_(classes=10, channels=1).blocks():
            seen |= {unit for unit, _ in units(row.trace)}
    kinds = {}
    for unit in sorted(seen):
        kinds.setdefault(unit.kind, []).append((*unit.size, math.prod(unit.size) ** 0.5))
    table = DeviceTable("eager", 1, 1, 0.0, kinds)
    made = layout("rules", MINI.with_(classes=10, channels=1), table=table)
    level = [v for v in made.variants if v.group == "equal latency"]
    assert {v.dimension for v in level} >= {"compound", "fast"}
    assert max(v.latency for v in level) / min(v.latency for v in level) <= 1.03
    assert level[0].latency / made.variants[0].latency == pytest.approx(4, rel=0.16)
    assert all(v.macs / made.variants[0].macs > 6 for v in level)


def test_width_starts_from_the_four_corners_of_figure_4():
    made = layout("width-on")
    corners = {(v.depth, v.resolution_factor) for v in made.variants}
    assert corners == set(itertools.product((1.0, 2.0), (1.0, 1.3)))
    assert len(made.variants) == len({v.name for v in made.variants}) == len({v.network for v in made.variants}) == 16
    assert {"width", "width 1.4", "width d2", "width r1.3", "width d2 w1.4"} <= {v.name for v in made.variants}


def test_the_family_is_the_rules():
    made = layout("family")
    two = next(v for v in made.variants if v.depth == pytest.approx(1.44))
    assert made.networks[two.name].with_(name="x") == scale(B0, CompoundRule()(2), "x")


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.yaml")))
def test_every_plan_of_the_package_can_be_laid_out(name):
    assert len(layout(name, MINI.with_(classes=10, channels=1)).variants) >= 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rows: [{dimension: depth, role: depth}]", "row 1: there is no field 'role'; did you mean 'rule'?"),
        ("rows: [{rule: depth}]", "row 1: field 'dimension' is missing"),
        ("rows: [{dimension: depth, phi: 1}]", "row 1: phi needs a rule"),
        ("rows: [{dimension: depth, rule: depth, width: 2}]", "row 1: a rule leaves no factors to choose"),
        ("rows: []", "not a plan"),
        ("rows: [", "not valid YAML"),
    ],
)
def test_a_mistake_in_a_plan_is_named(text, said, tmp_path):
    file = tmp_path / "my.yaml"
    file.write_text(text)
    with pytest.raises(UsageError) as error:
        find_plan(str(file))
    assert f"{file}" in str(error.value)
    assert said in str(error.value)


def test_unknown_names_are_named(tmp_path):
    with pytest.raises(UsageError, match="there is no plan 'compuond'; did you mean 'compound'"):
        find_plan("compuond")
    with pytest.raises(UsageError, match="ratio 1 compares nothing"):
        layout("compound", ratio=1)
    file = tmp_path / "my.yaml"
    file.write_text("rows: [{dimension: deep, rule: dept}]")
    with pytest.raises(UsageError, match="there is no rule 'dept'; did you mean 'depth'"):
        _ = layout(str(file)).variants
