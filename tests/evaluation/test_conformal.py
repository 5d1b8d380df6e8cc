"""Conformal sets against the formula written out, and their coverage over many resplits."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from compound import UsageError
from compound.nn.conformal import FREE, PENALTY, fit_sets, scores


def judged(count, classes=8, seed=0):
    """Probabilities of a judge that is right about two times of three, and true labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    logits = rng.normal(size=(count, classes)) + 1.8 * np.eye(classes)[labels]
    return torch.from_numpy(logits).softmax(1).float(), torch.from_numpy(labels)


def test_scores_are_those_of_equation_4():
    probabilities, _ = judged(20)
    found = scores(probabilities)
    for row, said in zip(probabilities.double().tolist(), found.tolist(), strict=True):
        for y, p in enumerate(row):
            rho = sum(other for other in row if other > p)
            rank = sum(other >= p for other in row)
            assert said[y] == pytest.approx(rho + PENALTY * max(rank - FREE, 0))


def test_two_hundred_resplits_cover_as_often_as_promised():
    """Coverage on m images after n is beta-binomial (Angelopoulos & Bates 2023, Section 3.2): mean and spread known."""
    probabilities, labels = judged(1200)
    n, m, wanted = 400, 800, 0.9
    rng, covered, sizes = np.random.default_rng(1), [], []
    for _ in range(200):
        order = torch.from_numpy(rng.permutation(1200))
        fitted, tested = order[:n], order[n:]
        inside = fit_sets(probabilities[fitted], labels[fitted], wanted).chosen(probabilities[tested])
        covered.append(inside.gather(1, labels[tested][:, None]).float().mean().item())
        sizes.append(inside.sum(1).float().mean().item())
    place = math.ceil((n + 1) * wanted)
    mean = place / (n + 1)
    spread = math.sqrt(mean * (1 - mean) * (1 / m + 1 / (n + 2)))
    assert np.mean(covered) == pytest.approx(mean, abs=3 * spread / math.sqrt(200) + 0.002)
    assert np.mean(np.abs(np.array(covered) - mean) < 2 * spread) > 0.9
    assert 1 < np.mean(sizes) < 4


def test_a_set_grows_with_coverage_and_is_never_empty():
    probabilities, labels = judged(300)
    sizes = [fit_sets(probabilities, labels, c).chosen(probabilities).sum(1) for c in (0.5, 0.8, 0.95)]
    assert all((a <= b).all() for a, b in pairwise(sizes))
    assert sizes[0].min() >= 1


def test_too_few_images_and_no_share_are_refused():
    probabilities, labels = judged(8)
    with pytest.raises(UsageError, match=r"0\.9 takes 9 held-out images or more; there are 8: train with --holdout 9"):
        fit_sets(probabilities, labels, 0.9)
    with pytest.raises(UsageError, match="coverage 1 is not possible"):
        fit_sets(probabilities, labels, 1)
    probabilities, labels = judged(9)
    assert fit_sets(probabilities, labels, 0.9).images == 9
