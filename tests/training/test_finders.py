"""Sweeps: where a loss turns, which batch is still worth its size, and that a resumed run sweeps nothing."""

import math
from dataclasses import replace

import numpy as np
import pytest

import compound.training.finders as finders
import compound.training.pace as pace
from compound.execution import Execution
from compound.training import start_run
from compound.training.finders import find_batch, find_rate, turning
from compound.training.trial import Trial

CPU = Execution("cpu")


def test_the_turn_is_found_through_noise():
    rates = np.geomspace(1e-5, 10, 100).tolist()
    rng = np.random.default_rng(0)
    losses = [2 + abs(math.log10(rate / 0.1)) * 0.5 + rng.normal() * 0.05 for rate in rates]
    assert 0.05 < turning(rates, losses) < 0.3


@pytest.mark.slow
def test_a_rate_that_trains_is_found_and_always_the_same(network, data, recipe):
    network = network.with_(stages=network.stages[1:])
    first = find_rate(network, data, recipe, CPU)
    assert first == find_rate(network, data, recipe, CPU)
    assert 0.05 < first < 5  # the recipe's, chosen by hand, is 0.8
    adam = find_rate(network, data, replace(recipe, optimizer="adamw"), CPU)
    assert adam < first / 3


@pytest.mark.long
def test_a_batch_is_doubled_while_it_pays_and_fits(network, data, recipe, monkeypatch):
    monkeypatch.setattr(Trial, "seconds", lambda self, _: {16: 1.0, 32: 1.5, 64: 2.95}[self.module.recipe.batch])
    assert find_batch(network, data, recipe, CPU) == 32  # 64 gives 1.7 % more speed; 128 images there are not
    monkeypatch.setattr(Trial, "seconds", lambda self, _: 1.0)
    assert find_batch(network, data, recipe, CPU) == 64
    needed = finders.predicted_bytes(network.with_(classes=3, channels=1), replace(recipe, batch=32))
    assert find_batch(network, data, replace(recipe, training_memory=needed / 0.9 + 1), CPU) == 32


def test_what_was_found_is_written_and_not_sought_again(tmp_path, network, data, recipe, monkeypatch):
    monkeypatch.setattr(pace, "find_rate", lambda *_, **__: 0.123)
    monkeypatch.setattr(pace, "find_batch", lambda *_, **__: 32)
    asked = replace(recipe, find=("batch", "rate"))
    run = start_run(network, data, asked, tmp_path / "run").now("training")
    assert (run.recipe.batch, run.recipe.rate) == (32, 0.123)
    monkeypatch.setattr(pace, "find_rate", lambda *_, **__: pytest.fail("sought again"))
    assert start_run(network, data, asked, tmp_path / "run", resume=True).recipe == run.recipe
