"""Forecasts against known laws, and against the paper's own larger networks."""

from dataclasses import replace

import numpy as np
import pytest

from compound import ZOO, cost
from compound.errors import UsageError
from compound.paper.tables import rows
from compound.studies.forecast import Observation, fit, forecast, held_out, points_of
from tests.studies.test_statistics import study, variant

COSTS = np.geomspace(1e6, 3e7, 6)


def law(macs):
    return 0.05 + 0.06 * (macs / 5e6) ** -0.5


@pytest.fixture(scope="module")
def paper():
    """EfficientNet-B0 to B7: counted multiply-adds and the printed top-1 of Table 2."""
    printed = [row for row in rows("table2_imagenet") if row["model"].startswith("EfficientNet")]
    return [Observation(r["model"], cost(ZOO[r["model"]]).macs, 1 - float(r["top1"]) / 100) for r in printed]


def test_a_law_is_found_again():
    found = fit([Observation("", macs, law(macs)) for macs in COSTS])
    assert (found.a, found.c) == pytest.approx((0.05, 0.5), abs=1e-4)
    assert found(1e9) == pytest.approx(law(1e9), abs=1e-5)


@pytest.mark.long
def test_networks_lie_within_the_interval():
    rng, hits = np.random.default_rng(3), 0
    for seed in range(6):
        noisy = [Observation("", macs, law(macs) + rng.normal(0, 0.002)) for macs in COSTS]
        (one,) = forecast(noisy, [1e8], seed)
        hits += one.low <= 1 - law(1e8) - rng.normal(0, 0.002) <= one.high
    assert hits >= 5


@pytest.mark.parametrize("known", [5, 6, 7])
def test_the_papers_larger_networks_are_forecast_from_the_smaller(paper, known):
    found = forecast(paper[:known], [point.macs for point in paper[known:]])
    for point, one in zip(paper[known:], found, strict=True):
        assert one.low <= 1 - point.error <= one.high
        assert one.top1 == pytest.approx(1 - point.error, abs=0.005)
    assert all(one.high - one.low < 0.02 for one in found)


def test_the_largest_is_held_out(paper):
    largest, guess = held_out(paper)
    assert largest.name == "EfficientNet-B7"
    assert guess == forecast(paper[:7], [largest.macs])[0]
    assert held_out(paper[:4]) is None


def test_uncertain_seeds_widen_the_interval(paper):
    sure = forecast(paper, [1e11])[0]
    unsure = forecast([replace(point, spread=0.01) for point in paper], [1e11])[0]
    assert unsure.high - unsure.low > 2 * (sure.high - sure.low)


def test_points_are_the_baseline_and_the_rules_networks():
    made = study(variant("baseline", [0.7, 0.8], 100), variant("compound", [0.9], 400), variant("width", [0.8], 400))
    assert [(p.macs, round(p.error, 6), round(p.spread, 6)) for p in points_of([made])] == [
        (100, 0.25, 0.05), (400, 0.1, 0),
    ]  # fmt: skip
    with pytest.raises(UsageError, match="2 networks are too few"):
        fit(points_of([made]))
    with pytest.raises(UsageError, match="differ in their data"):
        points_of([made, replace(made, data="others")])
