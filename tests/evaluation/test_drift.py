"""What can be said of accuracy without labels, against answers whose accuracy is known."""

import math

import numpy as np
import pytest
import torch

from compound.evaluation.drift import Answers, Check, Reference, by_both, by_confidence, estimate, moved

NAMES = np.array(["ant", "bee", "cat", "dog"])


def answers(images, easy, seed, shares=(0.25,) * 4):
    """Calibrated answers: each is right as often as it is sure, and `easy` makes them surer."""
    rng = np.random.default_rng(seed)
    confidence = 0.4 + 0.6 * rng.random(images) ** (1 / easy)
    return rng.choice(NAMES, images, p=shares).tolist(), confidence, rng.random(images) < confidence


def reference(images=2000, checks=(), unknown=None):
    names, confidence, right = answers(images, 4, 0)
    return Reference("w", tuple(names), tuple(confidence), tuple(map(bool, right)), (0.5, 0.4) * (images // 2), unknown, checks)  # fmt: skip


@pytest.mark.parametrize("easy", [8, 4, 1, 0.3])
def test_the_accuracy_of_calibrated_answers_is_estimated(easy):
    names, confidence, right = answers(3000, easy, 1)
    found = estimate(reference(), names, confidence.tolist())
    assert found.top1 == pytest.approx(right.mean(), abs=0.03)
    assert found.interval[0] < confidence.mean() < found.interval[1]
    assert found.interval[1] - found.interval[0] < 0.06
    assert found.images == 3000


def test_the_interval_covers_as_often_as_it_says():
    """Both samples drawn anew: 95 % of intervals have the true mean, up to two standard errors of 300 trials."""
    inside = []
    for seed in range(300):
        names, confidence, right = answers(200, 4, 2 * seed)
        known = Reference("w", tuple(names), tuple(confidence), tuple(map(bool, right)), (), None)
        fresh, surer, _ = answers(200, 2, 2 * seed + 1)
        low, high = estimate(known, fresh, surer.tolist()).interval
        inside.append(low <= 0.4 + 0.6 * 2 / 3 <= high)  # the mean of u ** (1 / 2) is 2 / 3
    assert 0.92 <= np.mean(inside) <= 0.98


def test_sure_answers_that_are_all_of_one_class_are_not_believed():
    known = reference()
    found = estimate(known, ["ant"] * 1000, [0.99] * 1000)
    assert found.by_confidence > 0.95
    assert found.top1 == pytest.approx(0.25, abs=0.03)  # a quarter was of that class


def test_a_difference_that_chance_makes_costs_nothing():
    known = reference()
    for seed in range(1, 6):
        names, confidence, _ = answers(60, 4, seed)
        new = Answers(names, torch.tensor(confidence))
        assert by_confidence(known.answers(), new) - by_both(known.answers(), new) < 0.02


def test_the_error_on_images_made_worse_is_in_the_interval():
    checks = (Check("noise", 1, 0.5, 0.6), Check("noise", 3, 0.5, 0.4), Check("blur", 1, 0.5, 0.5))
    known = reference(checks=checks)
    assert known.off == pytest.approx(math.sqrt((0.01 + 0.01) / 3))
    names, confidence, _ = answers(500, 1, 3)
    low, high = estimate(known, names, confidence.tolist()).interval
    assert (high - low) / 2 > 1.96 * known.off
    assert Reference.parse(known.to_json()) == known


def test_what_has_moved_is_named_and_what_has_not_is_not():
    known = reference(unknown=0.05)
    names, confidence, _ = answers(800, 4, 5)
    still = moved(known, names, confidence.tolist(), [False] * 760 + [True] * 40, [0.45] * 800)
    assert [one.what for one in still if one.moved] == []
    names, confidence, _ = answers(800, 1, 6, (0.55, 0.15, 0.15, 0.15))
    found = moved(known, names, confidence.tolist(), [True] * 200 + [False] * 600, [0.2] * 800)
    assert [one.what for one in found if one.moved][:4] == ["confidence", "brightness", "unknown", "share of ant"]
    ant = found[3]
    assert (ant.before, ant.now) == pytest.approx((0.25, 0.55), abs=0.04)
    assert 0.2 < ant.interval[0] < ant.interval[1] < 0.4
    assert "unknown" not in [one.what for one in moved(known, names, confidence.tolist(), [], [])]
