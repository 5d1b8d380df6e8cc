"""Latency from a device's table: the units, the interpolation between timed sizes, budgets in milliseconds."""

import json
import random

import pytest
from devices import law, made_up
from hypothesis import given
from strategies import networks

from compound import ZOO, Budget, BudgetError, CompoundError, UsageError, cost, fit_budget, scale
from compound.latency import Unit, latency, load_table, save_table, units
from compound.latency.table import interpolate, solve
from compound.network import Network
from compound.scaling import Scaling

B0 = ZOO["efficientnet-b0"]


def true_seconds(network: Network) -> float:
    return sum(law(unit) for row in network.blocks() for unit, _ in units(row.trace)) / 1e6


def test_the_units_of_a_block() -> None:
    *_, row = [row for row in B0.blocks() if row.label == "stage 2"]
    assert [(unit.kind, unit.size) for unit, _ in units(row.trace)] == [
        ("conv 1×1 norm swish", (24, 144, 56 * 56)),
        ("depthwise 3×3 norm swish", (144, 144, 56 * 56)),
        ("global pool", (144, 144, 56 * 56)),
        ("gate swish", (144, 6, 1)),
        ("gate sigmoid", (6, 144, 1)),
        ("multiply", (144, 144, 56 * 56)),
        ("conv 1×1 norm", (144, 24, 56 * 56)),
        ("add", (24, 24, 56 * 56)),
    ]


def test_groups_and_uneven_zeros_are_kinds_of_their_own() -> None:
    grouped = {unit for row in ZOO["resnext-50-32x4d"].blocks() for unit, _ in units(row.trace)}
    assert Unit("grouped conv 3×3 norm relu", (4, 128, 56 * 56)) in grouped
    lite = {unit.kind for row in ZOO["efficientnet-lite0"].blocks() for unit, _ in units(row.trace)}
    assert "depthwise 3×3 /2 uneven norm relu6" in lite


@pytest.mark.long
@given(networks())
def test_every_operator_that_takes_time_is_in_one_unit(network: Network) -> None:
    for row in network.blocks():
        paths = [step.path for _, steps in units(row.trace) for step in steps]
        free = ("Dropout", "Flatten")
        assert paths == [step.path for step in row.trace.steps if type(step.operator).__name__ not in free]


def test_a_power_law_is_found_between_its_points() -> None:
    rng = random.Random(1)
    sizes = [(rng.randint(8, 400), rng.randint(8, 400), rng.randint(8, 400)) for _ in range(120)]
    timed = [(*size, law(Unit("", size))) for size in sizes]
    for size in ((100, 50, 200), (33, 200, 64), (250, 250, 90)):
        assert interpolate(size, timed) == pytest.approx(law(Unit("", size)), rel=0.02)


def test_linear_equations_are_solved() -> None:
    # numpy.linalg.solve([[4, 1, 0.5], [1, 3, 0.2], [0.5, 0.2, 2]], [1, 2, 3])
    matrix = [[4.0, 1.0, 0.5], [1.0, 3.0, 0.2], [0.5, 0.2, 2.0]]
    assert solve(matrix, [1.0, 2.0, 3.0]) == pytest.approx([-0.08172851, 0.59652419, 1.46077971], abs=1e-7)


def test_networks_between_the_timed_ones() -> None:
    table = made_up()
    for scaling in (Scaling(), Scaling(1.2, 1.1, 1.15), Scaling(0.8, 0.7, 1.3)):
        network = scale(B0, scaling)
        found = latency(network, table)
        assert found.microseconds / 1e6 == pytest.approx(true_seconds(network), rel=0.02)
        assert sum(found.stages.values()) == pytest.approx(found.microseconds)
        assert (found.extrapolated, found.missing) == ((), ())


def test_what_lies_beyond_the_table_is_said() -> None:
    table = made_up()
    found = latency(scale(B0, Scaling(1, 4, 1)), table)
    assert any(text.startswith("conv 1×1 norm at ") for text in found.extrapolated)
    other = latency(ZOO["resnet-50"], table)
    assert "conv 7×7 /2 norm relu" in other.missing
    assert other.microseconds < latency(B0, table).microseconds  # nothing is guessed for what is missing


def test_a_table_survives_its_file(tmp_path) -> None:  # type: ignore[no-untyped-def]
    table = made_up(margin=0.03)
    assert load_table(save_table(table, tmp_path / "a.json")) == table


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is damaged: "),
        ("[]", "is not a device table"),
        ('{"format": "compound-device-1"}', "is missing; give it a value"),
        (None, "has a size or time [1, 1, 0, 2.0]"),
    ],
)
def test_a_bad_table_is_refused(tmp_path, text, said) -> None:  # type: ignore[no-untyped-def]
    path = save_table(made_up(), tmp_path / "a.json")
    if text is None:
        value = json.loads(path.read_text())
        text = json.dumps(value | {"units": {"add": [[1, 1, 0, 2.0]]}})
    path.write_text(text)
    with pytest.raises(CompoundError) as error:
        load_table(path)
    assert said in str(error.value)


def test_a_table_that_is_not_there() -> None:
    with pytest.raises(
        UsageError, match=r"cannot read device table nowhere\.json: No such file.*compound measure device -o FILE"
    ):
        load_table("nowhere.json")


@pytest.mark.parametrize("fill", [False, True])
def test_a_budget_in_seconds(fill: bool) -> None:
    table = made_up(margin=0.05)
    limit = 1.7 * latency(B0, table).microseconds / 1e6
    plan = fit_budget(B0, Budget(latency=limit, device=table), fill=fill)
    assert plan.binding == "latency"
    assert plan.cost.latency * 1.05 <= limit < plan.next_cost.latency * 1.05  # type: ignore[union-attr]
    assert true_seconds(plan.network) <= limit
    if fill:
        assert plan.use > 0.93
        assert plan.next_network == scale(plan.baseline, plan.scaling).with_(
            resolution=plan.network.resolution + 1,
            name=plan.next_network.name,  # type: ignore[union-attr]
        )


def test_filling_spends_what_the_stairs_leave_on_resolution() -> None:
    beyond = fit_budget(B0, Budget(macs=cost(B0).macs)).next_cost
    limit = Budget(macs=0.99 * beyond.macs)  # type: ignore[union-attr]
    stairs, filled = fit_budget(B0, limit), fit_budget(B0, limit, fill=True)
    assert (stairs.phi, stairs.scaling.depth, stairs.scaling.width) == (
        filled.phi,
        filled.scaling.depth,
        filled.scaling.width,
    )
    assert stairs.use < 0.7 < 0.85 < filled.use <= 1
    assert cost(filled.next_network).macs > limit.macs  # type: ignore[arg-type]


def test_a_budget_beyond_the_table_is_refused() -> None:
    with pytest.raises(BudgetError, match=r"no time of .*conv 7×7 /2 norm relu.*--family"):
        fit_budget(ZOO["resnet-50"], Budget(latency=0.02, device=made_up()))


def test_latency_and_device_go_together() -> None:
    with pytest.raises(UsageError, match="give a device table too"):
        Budget(latency=0.02)
    with pytest.raises(UsageError, match="give a latency too"):
        Budget(macs=1e9, device=made_up())
