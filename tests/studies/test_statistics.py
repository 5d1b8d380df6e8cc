"""Means, paired tests and the sentence, against SciPy, printed tables and R."""

import math

import pytest

from compound.studies import SeedRun, Study, Variant
from compound.studies.statistics import compare, holm, mean, means, paired, verdict


def variant(dimension, accuracies, macs=1000, group=""):
    runs = tuple(
        SeedRun(seed, round(top1, 4), round(top1 * 10_000), 10_000, 0.3, 9.0) for seed, top1 in enumerate(accuracies)
    )
    return Variant(f"{dimension} 2", dimension, group, "n.yaml", 1, 1, 1, 28, 10, macs, None, runs)


def study(*variants):
    return Study("compound", "net", "images", 4.0, {}, {}, "compound study", variants)


def test_the_interval_is_students():
    found = mean([1, 2, 3, 4, 5])
    # t(0.975, 4 degrees) = 2.776 in every printed table; the standard deviation is √2.5.
    half = 2.776 * math.sqrt(2.5) / math.sqrt(5)
    assert (found.mean, found.count) == (3, 5)
    assert (found.low, found.high) == pytest.approx((3 - half, 3 + half), abs=1e-3)
    alone = mean([0.9])
    assert alone.mean == 0.9
    assert math.isnan(alone.low)


def test_the_test_is_scipys():
    from scipy import stats  # takes as long to import as torch

    first, second = [0.91, 0.92, 0.905, 0.93, 0.915], [0.9, 0.921, 0.9, 0.918, 0.91]
    found, p = paired(first, second)
    known = stats.ttest_rel(first, second)
    assert p == pytest.approx(known.pvalue, rel=1e-9)
    interval = known.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-9)
    assert paired([0.5, 0.6], [0.5, 0.6])[1] == 1
    assert paired([0.75, 0.5], [0.5, 0.25])[1] == 0


def test_holm_is_rs():
    # R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([0.01, math.nan, 0.02])[0] == pytest.approx(0.02)


def test_runs_are_compared_seed_by_seed():
    """The seeds differ by ten points and the variants by one: unpaired, nothing would be seen."""
    from scipy.stats import ttest_ind

    seeds = [0.70, 0.75, 0.80]
    better = [0.7100, 0.7601, 0.8099]
    found = compare(study(variant("baseline", seeds, 250), variant("width", seeds), variant("compound", better)))
    assert [one.dimension for one in found] == ["width"]
    assert found[0].difference.mean == pytest.approx(0.01)
    assert found[0].p < 0.001
    assert ttest_ind(better, seeds).pvalue > 0.5


def test_only_seeds_that_both_have_are_compared():
    found = compare(study(variant("width", [0.8, 0.82]), variant("compound", [0.81, 0.84, 0.9])))
    assert found[0].difference.count == 2
    assert found[0].difference.mean == pytest.approx(0.015)
    assert compare(study(variant("width", []), variant("compound", [0.9]))) == []


def test_groups_are_apart():
    found = compare(
        study(
            variant("compound", [0.8, 0.9], group="a"), variant("fast", [0.7, 0.8], group="a"),
            variant("compound", [0.6, 0.7], group="b"), variant("fast", [0.9, 0.8], group="b"),
        )
    )  # fmt: skip
    assert [(one.group, round(one.difference.mean, 3)) for one in found] == [("a", 0.1), ("b", -0.2)]


def test_the_sentence_is_honest():
    depth, width = variant("depth", [0.900, 0.902, 0.901]), variant("width", [0.908, 0.912, 0.910])
    unsure = study(depth, width, variant("compound", [0.913, 0.909, 0.912]))
    (said,) = verdict(unsure)
    assert said.startswith("not shown that compound 2 beats the best of 2 others, width 2, by 0.13 points (95 % -0.")
    assert said.endswith("after Holm)")
    sure = study(depth, width, variant("compound", [0.918, 0.9221, 0.92]))
    assert not verdict(sure)[0].startswith("not shown")
    worse = study(depth, width, variant("compound", [0.8990, 0.9031, 0.9011]))
    assert "compound 2 loses to the best of 2 others, width 2, by 0.89 points (95 % 0." in verdict(worse)[0]
    single = study(width, variant("compound", [0.91]))
    assert verdict(single)[0].endswith("with one seed: nothing is known about others")
    dearer = study(variant("width", [0.9, 0.91], 1100), variant("compound", [0.92, 0.925]))
    assert "width 2, which has +10.0% multiply-adds, by 1.75 points" in verdict(dearer)[0]
    assert verdict(study(depth)) == []
    assert means(study(depth, variant("width", []))).keys() == {"depth 2"}
