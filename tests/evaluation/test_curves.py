"""Learning curves: the ensemble is the exact one, holds as often as it says, and says more the more it has seen."""

import math

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from compound import UsageError
from compound.evaluation.curves import FITTED, fallen, foresee, regressions

COSINE = [min(1.0, e / 4) * (1 + math.cos(math.pi * e / 24)) / 2 for e in range(1, 25)]


def test_evidence_and_prediction_are_those_of_a_normal_distribution_of_the_whole_curve():
    """Against the joint normal that the prior makes of all values, in closed form."""
    rng = np.random.default_rng(0)
    design = np.stack([np.ones(6), -np.exp(-np.arange(6.0)), np.linspace(0, 1, 6)], axis=1)[None]
    y, variances = rng.normal(1, 1, 5), rng.uniform(0.01, 0.2, (1, 5))
    evidence, mean, covariance = regressions(design[:, :5], y, variances, FITTED)
    prior, spread = np.array(FITTED.mean), np.diag(np.square(FITTED.deviation))
    joint = design[0] @ spread @ design[0].T
    seen = joint[:5, :5] + np.diag(variances[0])
    others = multivariate_normal(design[0, :5] @ prior, seen).logpdf(y)
    # What is left out is the same for all curves: the constant of the normal and the prior's.
    left_out = -2.5 * math.log(2 * math.pi) - (np.log(np.diag(spread)) + prior**2 / np.diag(spread)).sum() / 2
    assert evidence[0, 0] + left_out == pytest.approx(others)
    expected = design[0, 5] @ prior + joint[5, :5] @ np.linalg.solve(seen, y - design[0, :5] @ prior)
    assert design[0, 5] @ mean[0, 0] == pytest.approx(expected)
    variance = joint[5, 5] - joint[5, :5] @ np.linalg.solve(seen, joint[:5, 5])
    assert design[0, 5] @ covariance[0, 0] @ design[0, 5] == pytest.approx(variance)


def test_every_curve_falls_from_one_to_nothing():
    found = fallen(np.array([0.0, 0.1, 0.5, 1.0, 1e9]))
    assert (found[:, 0] == 1).all()
    assert (np.diff(found, axis=1) <= 0).all()
    assert (found[:, -1] < 0.02).all()


def test_more_epochs_foresee_more_narrowly_and_the_end_lies_within():
    shares = np.arange(1, 25) / 24
    logits = 2.2 - 2.5 * np.exp(-6 * shares) + 0.5 * np.array([0.0] * 4 + [1 - rate for rate in COSINE[4:]])
    accuracies = (1 / (1 + np.exp(-logits))).tolist()
    widths = []
    for seen in (4, 8, 16, 22):
        low, high = foresee(accuracies[:seen], COSINE, 1000).interval(0.9)
        assert low < accuracies[-1] < high
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 0.06


def test_quantiles_and_probabilities_are_inverse():
    found = foresee([0.3, 0.5, 0.6], COSINE, 500)
    low, high = found.interval(0.8)
    assert found.below(low) == pytest.approx(0.1, abs=1e-6)
    assert found.below(high) == pytest.approx(0.9, abs=1e-6)
    assert low < found.middle < high


@pytest.mark.parametrize("accuracies", [[], [0.5] * 24])
def test_nothing_is_foreseen_of_nothing_or_of_the_end(accuracies):
    with pytest.raises(UsageError, match="of 24 epochs foresee nothing; give some, and leave some to come"):
        foresee(accuracies, COSINE, 100)


def test_all_images_right_or_wrong_are_no_infinity():
    assert 0 < foresee([0.0, 1.0, 1.0], COSINE, 10).middle < 1
