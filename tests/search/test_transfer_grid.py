"""Kornblith's grid, the choice by validation, and data put together again for the last training."""

import math
from typing import ClassVar

import numpy as np
import pytest
import torch

from compound import ZOO, UsageError
from compound.data import ArraySource, DataError, DataSet, DataSpec, FileSource
from compound.data.source import concatenated
from compound.search.transfer import TransferProblem, at_an_end, chosen, epochs_of, grid, spaced
from compound.trials import STRATEGIES, Search, leaderboard, trials_of, work

NETWORK = ZOO["efficientnet-mini"]


class Bowl:
    """A fine-tuning that is best at rate 1e-2 without decay, and equally accurate, with a larger loss, at 1e-5."""

    settings: ClassVar = {"data": "bowl"}

    def __call__(self, network, rate, weight_decay, seed, report):
        distance = abs(math.log10(rate) + 2)
        decay = weight_decay * rate
        right = decay in (0.0, 1e-5)
        return 0.9 - 0.1 * distance - (0.0 if right else 0.05), distance + decay


def test_the_grid_is_that_of_the_paper():
    rates, decays = (d.choices for d in TransferProblem(NETWORK, Bowl()).distributions().values())
    np.testing.assert_allclose(rates, np.logspace(-4, -1, 7), rtol=1e-3)
    np.testing.assert_allclose(decays, [0, *np.logspace(-6, -3, 7)], rtol=1e-3)
    assert spaced(1e-6, 1e-2, 1) == [1e-4]
    assert spaced(1e-6, 1e-2, 0) == []
    with pytest.raises(UsageError, match="rates 0 leaves nothing to try; use 1 or more, usually 7"):
        TransferProblem(NETWORK, Bowl(), rates=0)


def test_the_whole_grid_is_tried_and_the_smaller_loss_decides_between_equals(tmp_path):
    problem = TransferProblem(NETWORK, Bowl(), rates=4, decays=5)
    search = Search(problem, str(tmp_path / "journal"), 20, STRATEGIES["grid"])
    work(search)
    entries = leaderboard(trials_of(search), problem.directions)
    assert len(entries) == 20
    best = chosen(entries)
    assert best.parameters == {"rate": 0.01, "decay": 0.0}
    assert [entry.values[0] for entry in entries].count(best.values[0]) == 2
    assert at_an_end(problem, best) is None
    table = grid(problem, entries).splitlines()
    assert table[0].split() == ["decay", "\\", "rate", "0.0001", "0.001", "0.01", "0.1"]
    assert table[1].split() == ["0", "70.0%", "80.0%", "90.0%", "80.0%"]


@pytest.mark.parametrize(
    ("steps", "batch", "images", "epochs"), [(20_000, 256, 50_000, 103), (10, 64, 128, 5), (1, 32, 1000, 1)]
)
def test_steps_become_whole_epochs(steps, batch, images, epochs):
    assert epochs_of(steps, batch, images) == epochs  # a step that is not full is left out: 20,000 / 195 is 102.6


def source(numbers):
    pixels = torch.tensor(numbers, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 2, 2)
    return ArraySource(pixels, [n % 2 for n in numbers], "numbers")


def test_held_out_images_come_back():
    whole = source(list(range(10)))
    parts = whole.subset(np.array([0, 2, 3, 5, 6, 7, 9])), whole.subset(np.array([1, 4, 8])), source([20, 21])
    data = DataSet("numbers", ("even", "odd"), 1, *parts, DataSpec("numbers", holdout=0.3)).without_holdout()
    assert sorted(data.train.path(i) for i in range(10)) == [f"numbers[{i}]" for i in range(10)]
    for i in range(10):
        assert data.train.path(i) == f"numbers[{int(data.train.load(i)[0, 0, 0])}]"
        assert data.train.labels[i] == data.train.load(i)[0, 0, 0] % 2
    assert (len(data.holdout), data.spec.holdout) == (0, 0.0)
    files = concatenated(FileSource(["a", "b"], [0, 1], 3), FileSource(["c"], [1], 3))
    assert [files.path(i) for i in range(3)] == ["a", "b", "c"]
    with pytest.raises(DataError, match="are of two kinds"):
        concatenated(whole, files)
