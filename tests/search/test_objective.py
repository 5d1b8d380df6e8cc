"""The reward of Section 4, the front and its knee."""

import itertools
import random

import pytest
from devices import law, made_up

from compound import ZOO, BudgetError, UsageError, cost
from compound.latency import save_table, units
from compound.search.objective import Objective, front, knee
from compound.search.spending import device_latency


def test_the_reward_of_the_paper():
    """ACC · (FLOPS / T)^−0.07 with T = 400M (Section 4); MnasNet: doubling the cost is worth 5 % of accuracy."""
    objective = Objective()
    assert objective.reward(0.77, 400e6) == 0.77
    assert objective.reward(0.77, 800e6) == pytest.approx(0.77 * 2**-0.07)
    assert objective.reward(0.77 * 1.05, 800e6) == pytest.approx(objective.reward(0.77, 400e6), rel=2e-3)
    assert objective.reward(0.77, 200e6) > 0.77


def test_the_hard_form():
    """MnasNet, Equation 3 with α = 0, β = −1."""
    objective = Objective(form="hard", target=100)
    assert objective.values(0.8, 50) == objective.values(0.8, 100) == (0.8,)
    assert objective.values(0.8, 200) == (0.4,)


def test_costs_are_the_counted_ones():
    b0 = ZOO["efficientnet-b0"]
    assert Objective("macs").spent(b0) == 385_814_752  # Table 2 prints 0.39B and 5.3M
    assert Objective("params").spent(b0) == 5_288_548
    assert Objective("memory").spent(b0) == cost(b0).memory()
    assert Objective("params").spent(b0.with_(classes=10)) == 5_288_548 - 990 * 1281


def test_a_measure_of_one_s_own():
    objective = Objective("seconds", 0.02, measure=lambda network: network.resolution / 10_000)
    assert objective.spent(ZOO["efficientnet-b0"]) == 0.0224


def test_latency_on_a_device_counts_its_margin_and_tells_tables_apart(tmp_path):
    file = save_table(made_up(margin=0.25), tmp_path / "a.json")
    measure = device_latency("latency", file)
    b0 = ZOO["efficientnet-b0"]
    assert Objective("latency", 0.02, measure=measure).spent(b0) == pytest.approx(
        1.25e-6 * sum(law(unit) for row in b0.blocks() for unit, _ in units(row.trace)), rel=0.02
    )
    other = device_latency("latency", save_table(made_up(ZOO["resnet-50"]), tmp_path / "b.json"))
    assert measure.settings != other.settings
    with pytest.raises(BudgetError, match=r"the device table has no time of conv 3×3 .*depthwise 3×3"):
        other(b0)


def dominated(points, i):
    return any(a >= points[i][0] and c <= points[i][1] and (a, c) != points[i] for a, c in points)


def test_the_front_is_what_nothing_dominates():
    rng = random.Random(0)
    for _ in range(50):
        points = [(rng.randrange(6) / 6, float(rng.randrange(1, 7))) for _ in range(rng.randrange(1, 12))]
        expected = {points[i] for i in range(len(points)) if not dominated(points, i)}
        found = front(points)
        assert {points[i] for i in found} == expected
        assert all(points[i][0] < points[j][0] and points[i][1] < points[j][1] for i, j in itertools.pairwise(found))


def test_the_knee():
    """Doublings of cost that bring 20, 15, 1 and 1 points: after the third point they do not pay."""
    points = [(0.5, 1.0), (0.7, 2.0), (0.85, 4.0), (0.86, 8.0), (0.87, 16.0), (0.4, 16.0)]
    assert knee(points) == 2
    assert knee(points[:1]) == 0
    assert knee([]) is None


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"cost": "mac"}, "there is no cost 'mac'; did you mean 'macs'"),
        ({"target": 0}, "target 0 is not a positive number"),
        ({"cost_exponent": 0.07}, "cost exponent 0.07 would reward cost"),
        ({"exponent_below": 0.07}, "cost exponent 0.07 below the target would reward cost"),
        ({"exponent_below": 0.0, "form": "hard"}, "the hard objective has no exponent below its target"),
        ({"form": "sof"}, "there is no form 'sof'"),
    ],
)
def test_what_is_refused(fields, said):
    with pytest.raises(UsageError, match=said):
        Objective(**fields)


def test_an_exponent_of_its_own_below_the_target():
    """Tan et al. 2019, Equation 3: w = α up to the target and β above; their hard constraint is α = 0, β = −1."""
    soft = Objective("macs", 400e6, cost_exponent=-1.0, exponent_below=0.0)
    hard = Objective("macs", 400e6, "hard")
    for spent in (100e6, 400e6, 600e6):
        assert soft.reward(0.7, spent) == pytest.approx(hard.reward(0.7, spent))
    uneven = Objective("macs", 400e6, cost_exponent=-0.3, exponent_below=-0.05)
    assert uneven.reward(0.7, 200e6) == pytest.approx(0.7 * 0.5**-0.05)
    assert uneven.reward(0.7, 800e6) == pytest.approx(0.7 * 2**-0.3)
