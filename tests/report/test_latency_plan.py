"""The report's sentence about a plan in milliseconds."""

from compound import ZOO, Budget, cost, fit_budget
from compound.cost import cost_fields
from compound.latency import DeviceTable, latency, units
from compound.reporting.plan import view_plan

B0 = ZOO["efficientnet-b0"]


def test_a_filled_plan_is_not_called_the_baseline() -> None:
    kinds: dict[str, list[tuple[int, int, int, float]]] = {}
    for row in B0.blocks():
        for (kind, (inputs, outputs, positions)), _ in units(row.trace):
            kinds.setdefault(kind, []).append((inputs, outputs, positions, 1e-3 * positions + 1))
    table = DeviceTable("eager", 1, 1, 0.1, kinds)
    limit = 1.2 * latency(B0, table).microseconds / 1e6
    plan = fit_budget(B0, Budget(latency=limit, device=table), fill=True)
    assert plan.network.resolution > 224
    given = {"baseline": cost_fields(B0, cost(B0)), "rule": "compound", "plan": plan.to_json()}
    view = view_plan(given, plan.network, plan.cost, 32)
    assert "gives a network of " in view.sentence
    assert "the baseline itself" not in view.sentence.lower()
    assert view.columns[-1] == "latency"
    beyond = plan.next_cost.latency * 1.1  # type: ignore[union-attr]
    assert f"would take {beyond * 1e6:.3g} µs ({beyond / limit:.1%})" in view.sentence
    assert beyond > limit
