"""Two models on the same images, by hand."""

import pytest
import torch

from compound import CompoundError
from compound.evaluation import Evaluation, compare


def result(right, indices, classes=("a", "b")):
    """An evaluation of images of class a that is right where `right` says."""
    probabilities = torch.tensor([[0.8, 0.2] if one else [0.3, 0.7] for one in right])
    return Evaluation(classes, probabilities, torch.zeros(len(right), dtype=torch.long), torch.tensor(indices), [])


def test_images_are_paired_by_position():
    first = result([1, 0, 0, 1, 0, 0], [0, 1, 2, 3, 4, 6])
    second = result([1, 1, 1, 1, 0], [0, 2, 3, 4, 5])
    both = compare(first, second)
    assert both.first.indices.tolist() == both.second.indices.tolist() == [0, 2, 3, 4]
    assert (both.only_first, both.only_second) == (0, 2)
    assert both.difference == pytest.approx(0.5)
    assert both.p_value == pytest.approx(0.5)  # 2 · ¼
    summary = both.summary()
    assert summary["images"] == 4
    assert summary["per_class"] == {"a": 0.5, "b": None}


def test_the_interval_is_that_of_the_differences():
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.rand(2000, generator=generator) < p for p in (0.7, 0.75))
    both = compare(result(first.tolist(), range(2000)), result(second.tolist(), range(2000)))
    each = second.double() - first.double()
    spread = 1.96 * each.std().item() / 2000**0.5
    low, high = both.interval()
    assert low == pytest.approx(both.difference - spread, abs=0.004)
    assert high == pytest.approx(both.difference + spread, abs=0.004)
    same = compare(result([1, 0], [0, 1]), result([1, 0], [0, 1]))
    assert same.interval() == (0, 0)
    assert same.p_value == 1


def test_what_cannot_be_compared():
    with pytest.raises(CompoundError, match="different classes"):
        compare(result([1], [0]), result([1], [0], ("a", "c")))
    with pytest.raises(CompoundError, match="no image in common"):
        compare(result([1], [0]), result([1], [1]))
