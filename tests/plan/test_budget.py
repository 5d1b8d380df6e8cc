"""`fit_budget`: the answer is inside every limit, and nothing larger on the rule's line is."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compound import RULES, ZOO, Budget, BudgetError, CompoundRule, UsageError, cost, fit_budget, scale

B0 = ZOO["efficientnet-b0"]
NAMES = ("efficientnet-b0", "mobilenet-v2", "resnet-50", "efficientnet-lite0")


@pytest.mark.long
@settings(max_examples=12)
@given(st.sampled_from(NAMES), st.sampled_from(("compound", "fast", "width")), st.floats(0.4, 8), st.floats(0.4, 8))
def test_inside_every_limit_and_none_larger(name: str, rule: str, macs: float, params: float) -> None:
    base = cost(ZOO[name])
    budget = Budget(macs=base.macs * macs, params=base.params * params, batch=4)
    plan = fit_budget(ZOO[name], budget, RULES[rule])
    assert plan.network == scale(ZOO[name], RULES[rule](plan.phi))
    assert plan.cost == cost(plan.network)
    assert plan.cost.macs <= budget.macs
    assert plan.cost.params <= budget.params
    for step in range(1, 41):
        larger = cost(scale(ZOO[name], RULES[rule](plan.phi + step / 20)))
        assert larger == plan.cost or not budget.admits(larger), step
    assert not budget.admits(plan.next_cost)
    assert plan.cost == cost(scale(ZOO[name], RULES[rule](plan.next_phi - 2e-6)))  # nothing lies between the two


def test_the_limiting_budget() -> None:
    plan = fit_budget(B0, Budget(macs=2e9, params=1e9))
    assert plan.binding == "macs"
    assert plan.use == plan.cost.macs / 2e9
    assert fit_budget(B0, Budget(macs=1e12, params=8e6)).binding == "params"


@pytest.mark.parametrize(
    ("limit", "used"),
    [
        (Budget(activations=1e7), lambda c: c.activations),
        (Budget(memory=5e7), lambda c: c.memory()),
        (Budget(training_memory=1.6e9, batch=16), lambda c: c.training_memory(16) / 0.9),  # a tenth is room to work in
    ],
)
def test_every_kind_of_limit(limit, used) -> None:  # type: ignore[no-untyped-def]
    ((name, allowed),) = limit.limits().items()
    plan = fit_budget(B0, limit)
    assert plan.binding == name
    assert used(plan.cost) <= allowed < used(plan.next_cost)
    assert plan.use == used(plan.cost) / allowed > 0.8


def test_the_baselines_own_cost_gives_the_baseline() -> None:
    plan = fit_budget(B0, Budget(macs=cost(B0).macs))
    assert (plan.phi, plan.network) == (0, B0)


def test_scales_down_below_the_baseline() -> None:
    plan = fit_budget(B0, Budget(params=1e6))
    assert plan.phi < 0
    assert 0.9e6 < plan.cost.params <= 1e6


def test_classes_and_channels_are_counted() -> None:
    few = fit_budget(B0.with_(classes=10, channels=1), Budget(params=5e6))
    assert few.cost == cost(few.network.with_(classes=10, channels=1))
    assert few.phi > fit_budget(B0, Budget(params=5e6)).phi


def test_a_rule_that_goes_no_further_has_no_next() -> None:
    plan = fit_budget(B0, Budget(params=1e9), RULES["resolution"])  # resolution costs no parameter
    assert plan.next_phi is plan.next_network is plan.next_cost is None
    assert plan.binding == "params"


def test_phi_has_few_digits() -> None:
    phi = fit_budget(B0, Budget(macs=2e9), CompoundRule()).phi
    assert phi == round(phi, 3)


def test_what_cannot_fit_says_what_the_smallest_needs() -> None:
    with pytest.raises(BudgetError) as error:
        fit_budget(B0, Budget(params=1000))
    assert str(error.value).startswith(
        "no efficientnet-b0 fits params 1.00k: its smallest net (8 px) already has params "
    )
    assert str(error.value).endswith("; raise the budget or take a smaller baseline")


@pytest.mark.parametrize("value", [0, -1, math.inf, math.nan])
def test_impossible_limits_are_refused(value: float) -> None:
    with pytest.raises(UsageError, match=f"budget macs {value} is not a positive number; give e.g. 400M"):
        Budget(macs=value)


def test_a_budget_needs_a_limit() -> None:
    with pytest.raises(
        UsageError, match=r"no limit; give at least one of macs, params, activations, memory, training_memory, latency$"
    ):
        Budget()
