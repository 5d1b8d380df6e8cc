"""Confident learning against the paper's formulas written out, and against cleanlab where it is installed."""

import numpy as np
import pytest

from compound.evaluation.labels import Confident, Doubt

K = 4


def noisy(count=600, wrong=60, seed=0):
    """Probabilities that favour the true class, and given labels of which the first `wrong` are wrong."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, K, count)
    scores = rng.normal(size=(count, K)) + 3.0 * np.eye(K)[true]
    chances = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    given = true.copy()
    given[:wrong] = (given[:wrong] + rng.integers(1, K, wrong)) % K
    return Confident(chances, given), true


def test_thresholds_and_joint_are_those_of_equations_1_to_3():
    found, _ = noisy()
    p, labels = found.probabilities, found.labels
    thresholds = [np.mean([p[i, j] for i in range(600) if labels[i] == j]) for j in range(K)]
    assert found.thresholds == pytest.approx(thresholds)
    joint = np.zeros((K, K), dtype=int)
    for i in range(600):
        above = [j for j in range(K) if p[i, j] >= thresholds[j]]
        if above:
            joint[labels[i], max(above, key=lambda j: p[i, j])] += 1
    assert np.array_equal(found.joint, joint)
    scaled = [[joint[i, j] / joint[i].sum() * (labels == i).sum() for j in range(K)] for i in range(K)]
    assert found.estimate == pytest.approx(np.array(scaled) / np.sum(scaled))
    assert found.noise == pytest.approx(0.1, abs=0.03)  # 60 of 600 are wrong


def test_cleanlab_finds_the_same():
    """Run with cleanlab 2.9.0."""
    count = pytest.importorskip("cleanlab.count")
    rank = pytest.importorskip("cleanlab.rank")
    found, _ = noisy()
    joint, off = count.compute_confident_joint(
        found.labels, found.probabilities, calibrate=False, return_indices_of_off_diagonals=True
    )
    assert np.array_equal(found.joint, joint)
    wrong = found.doubts(np.empty(0, dtype=np.int64))[Doubt.WRONG]
    assert set(wrong.tolist()) == set(np.asarray(off).tolist())
    assert found.own == pytest.approx(rank.get_self_confidence_for_each_label(found.labels, found.probabilities))
    assert found.estimate == pytest.approx(count.estimate_joint(found.labels, found.probabilities), abs=2e-3)


def test_wrong_labels_are_ranked_first_and_get_their_class_back():
    found, true = noisy()
    first = found.order[:96]  # 16 % of the images, for 10 % that are wrong
    assert (first < 60).sum() >= 54
    wrong = found.doubts(np.empty(0, dtype=np.int64))[Doubt.WRONG]
    planted = wrong[wrong < 60]
    assert (found.proposed[planted] == true[planted]).mean() > 0.9
    assert np.all(np.diff(found.own[wrong]) >= 0)


def test_every_image_has_one_doubt_at_the_most_and_each_kind_what_it_says():
    chances = np.array(
        [[0.9, 0.05, 0.05]] * 5 + [[0.05, 0.9, 0.05]] * 5 + [[0.05, 0.05, 0.9]] * 5
        + [[0.02, 0.96, 0.02], [0.48, 0.47, 0.05], [0.34, 0.33, 0.33], [0.9, 0.05, 0.05]]
    )  # fmt: skip
    labels = np.array([0] * 5 + [1] * 5 + [2] * 5 + [0, 1, 2, 0])
    found = Confident(chances, labels).doubts(np.array([18]))
    assert {doubt: rows.tolist() for doubt, rows in found.items()} == {
        Doubt.DUPLICATE: [18], Doubt.WRONG: [15], Doubt.STRANGE: [17], Doubt.AMBIGUOUS: [16],
    }  # fmt: skip


def test_a_class_without_images_is_nobodys():
    found = Confident(np.array([[0.5, 0.2, 0.3], [0.1, 0.3, 0.6]]), np.array([0, 2]))
    assert found.thresholds.tolist() == [0.5, np.inf, 0.6]
    assert found.likely.tolist() == [0, 2]
    assert np.isfinite(found.estimate).all()
    assert not any(len(rows) for rows in found.doubts(np.empty(0, dtype=np.int64)).values())
