"""A run that is stopped and resumed ends in the same bits as one that is not."""

import csv
import io
import os
import signal
import time
from dataclasses import replace
from itertools import pairwise

import pytest
from safetensors.torch import load_file

import compound.train.fit as fit
from compound.data import Augment
from compound.nn import build, save_weights
from compound.train import Interrupted, open_run, start_run, train


class StopAt(fit.Checkpoints):
    """Sends this process a signal while step `step` is under way."""

    step = 0
    number = signal.SIGINT

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_step == self.step:
            os.kill(os.getpid(), self.number)


def run_once(out, network, data, recipe, resume=False):
    run = start_run(network, data, "pictures", recipe, out, seed=3, resume=resume)
    return train(run, data, quiet=True, device="cpu")


@pytest.mark.parametrize("step", [0, 4, 5, 8, 23], ids=["first", "mid-epoch", "end of epoch", "second", "last"])
def test_stop_and_resume_changes_nothing(tmp_path, network, data, recipe, monkeypatch, step):
    whole, _ = run_once(tmp_path / "whole", network, data, recipe)
    monkeypatch.setattr(fit, "Checkpoints", type("Stop", (StopAt,), {"step": step}))
    with pytest.raises(Interrupted, match="--resume"):
        run_once(tmp_path / "parts", network, data, recipe)
    monkeypatch.undo()
    assert open_run(tmp_path / "parts").state == "stopped"
    parts, _ = run_once(tmp_path / "parts", network, data, recipe, resume=True)
    a, b = load_file(whole.weights), load_file(parts.weights)
    assert all((a[name] == b[name]).all() for name in a)
    assert whole.metrics.read_text() == parts.metrics.read_text()
    assert parts.state == "done"


@pytest.fixture
def teacher(tmp_path, network, data):
    other = network.with_(name="teacher", resolution=16)
    return str(save_weights(build(other, 3, 1, seed=5), tmp_path / "teacher.safetensors", data.classes))


FEATURES = {
    "mixup or cutmix": {"mixup": 0.3, "cutmix": 1.0, "loss": "bce", "optimizer": "lamb", "rate": 0.05},
    "parts": {"accumulate": 3, "optimizer": "rmsprop", "rate": 0.02},
    "recomputed": {"recompute": ("stage1", "stage2")},
    "growing": {"grow_from": 0.5, "grow_stages": 3, "warmup_epochs": 0.0},
    "distilled": {"teacher": "", "select": "best"},
    "official policy": {
        "augment": Augment(crop="inception", policy="autoaugment-v0"),
        "optimizer": "adamw",
        "rate": 0.01,
    },
}


@pytest.mark.parametrize("feature", FEATURES)
def test_every_feature_resumes_in_the_same_bits(tmp_path, network, data, recipe, teacher, monkeypatch, feature):
    fields = FEATURES[feature] | ({"teacher": teacher} if "teacher" in FEATURES[feature] else {})
    recipe = replace(recipe, epochs=3, **fields)
    whole, _ = run_once(tmp_path / "whole", network, data, recipe)
    monkeypatch.setattr(fit, "Checkpoints", type("Stop", (StopAt,), {"step": 9}))
    with pytest.raises(Interrupted):
        run_once(tmp_path / "parts", network, data, recipe)
    monkeypatch.undo()
    parts, _ = run_once(tmp_path / "parts", network, data, recipe, resume=True)
    a, b = load_file(whole.weights), load_file(parts.weights)
    assert all((a[name] == b[name]).all() for name in a)
    assert whole.metrics.read_text() == parts.metrics.read_text()


class SlowFrom(fit.Pace):
    """A clock on which epochs take a second until `epoch`, and ten seconds after it."""

    epoch = 2

    def on_train_epoch_end(self, trainer, pl_module):
        self.begun = time.perf_counter() - (1 if trainer.current_epoch < self.epoch else 10)
        super().on_train_epoch_end(trainer, pl_module)


def test_a_machine_that_becomes_slow_gets_fewer_epochs_and_the_same_schedule(
    tmp_path, network, data, recipe, monkeypatch
):
    monkeypatch.setattr(fit, "Pace", SlowFrom)
    monkeypatch.setattr(fit, "settle", lambda network, data, recipe, **_: replace(recipe, epochs=30))
    run, _ = run_once(tmp_path / "run", network, data, replace(recipe, minutes=0.72, warmup_epochs=1))
    rows = list(csv.DictReader(io.StringIO(run.metrics.read_text())))
    # 43 s: two epochs of 1 s, then 10 s each. The third is taken for a disturbance; after the fourth, with 22 s spent,
    # two more fit.
    assert len(rows) == run.recipe.epochs == 6
    rates = [float(row["rate"]) for row in rows]
    assert rates[-1] < 0.1 * max(rates)
    assert all(later < earlier for earlier, later in pairwise(rates[2:]))


def test_a_shortened_run_resumes_in_its_new_length(tmp_path, network, data, recipe, monkeypatch):
    monkeypatch.setattr(fit, "Pace", SlowFrom)
    monkeypatch.setattr(fit, "settle", lambda network, data, recipe, **_: replace(recipe, epochs=30))
    timed = replace(recipe, minutes=0.72, warmup_epochs=1)
    whole, _ = run_once(tmp_path / "whole", network, data, timed)
    monkeypatch.setattr(fit, "Checkpoints", type("Stop", (StopAt,), {"step": 21}))
    with pytest.raises(Interrupted):
        run_once(tmp_path / "parts", network, data, timed)
    monkeypatch.setattr(fit, "Checkpoints", StopAt.__base__)
    parts, _ = run_once(tmp_path / "parts", network, data, timed, resume=True)
    assert whole.metrics.read_text() == parts.metrics.read_text()
