"""A run that is stopped and resumed ends in the same bits as one that is not."""

import csv
import io
import os
import signal
import time
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from safetensors.torch import load_file
from torchvision.transforms.v2 import functional as F
from training.conftest import CLASSES, NETWORK, pictures
from webdataset import TarWriter

import compound.training.open as opening
import compound.training.session as session
from compound.data import Augment, DataSet, open_data
from compound.execution import Execution
from compound.nn import build, save_weights
from compound.quantity import Interval
from compound.training import Interrupted, Safeguards, open_run, start_run, train
from compound.training.storage import newest

DATA = DataSet("pictures", CLASSES, 1, pictures(48, 1), pictures(24, 2), pictures(24, 3))  # three steps an epoch


class StopAt(session.Checkpoints):
    """Sends this process a signal while step `step` is under way."""

    step = 0
    number = signal.SIGINT

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_step == self.step:
            os.kill(os.getpid(), self.number)


def run_once(out, network, data, recipe, resume=False, workers=None, every=Interval()):
    run = start_run(network, data, recipe, out, seed=3, resume=resume)
    return train(run, data, execution=Execution("cpu", workers), safeguards=Safeguards(every), quiet=True)


def assert_same(whole, parts):
    """The same weights (the average's, where there is one), optimiser, average and metrics, to the bit."""
    a, b = load_file(whole.weights), load_file(parts.weights)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert whole.metrics.read_text() == parts.metrics.read_text()
    a, b = (newest(run.checkpoints).checkpoint for run in (whole, parts))
    for part in ("state_dict", "current_model_state", "averaging_state", "optimizer_states"):
        torch.testing.assert_close(a.get(part), b.get(part), rtol=0, atol=0)


@pytest.fixture
def data():
    return DATA


@pytest.fixture
def recipe(recipe):
    return replace(recipe, epochs=3)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """`unbroken(recipe)`: a run that nothing stops, trained once."""
    done = []

    def of(recipe):
        for run in done:
            if run.recipe == recipe:
                return run
        done.append(run_once(tmp_path_factory.mktemp("whole") / "run", NETWORK, DATA, recipe)[0])
        return done[-1]

    return of


@pytest.mark.long
@pytest.mark.parametrize("step", [0, 1, 2, 4, 8], ids=["first", "mid-epoch", "end of epoch", "second", "last"])
def test_stop_and_resume_changes_nothing(tmp_path, network, data, recipe, unbroken, monkeypatch, step):
    whole = unbroken(recipe)
    monkeypatch.setattr(session, "Checkpoints", type("Stop", (StopAt,), {"step": step}))
    with pytest.raises(Interrupted, match="go on with: compound resume "):
        run_once(tmp_path / "parts", network, data, recipe)
    monkeypatch.undo()
    assert open_run(tmp_path / "parts").state == "stopped"
    parts, _ = run_once(tmp_path / "parts", network, data, recipe, resume=True)
    assert_same(whole, parts)
    assert parts.state == "done"


@pytest.fixture
def teacher(tmp_path, network, data):
    other = network.with_(name="teacher", resolution=16)
    return str(save_weights(build(other, seed=5), tmp_path / "teacher.safetensors", data.classes))


FEATURES = {
    "mixup or cutmix": {"mixup": 0.3, "cutmix": 1.0, "loss": "bce", "optimizer": "lamb", "rate": 0.05},
    "parts": {"accumulate": 3, "optimizer": "rmsprop", "rate": 0.02},
    "growing and recomputed": {
        "grow_from": 0.5,
        "grow_stages": 3,
        "warmup_epochs": 0.0,
        "recompute": ("stage1", "stage2"),
    },
    "growing as EfficientNetV2": {
        "grow_from": 0.5,
        "grow_stages": 3,
        "grow_magnitude": 0.2,
        "grow_dropout": 0.3,
        "grow_order": "random",
        "augment": Augment(policy="randaugment", magnitude=20),
    },
    "distilled": {"teacher": "", "select": "best"},
    "official policy": {
        "augment": Augment(crop="inception", policy="autoaugment-v0"),
        "optimizer": "adamw",
        "rate": 0.01,
    },
}


@pytest.mark.long
@pytest.mark.parametrize("feature", FEATURES)
def test_every_feature_resumes_in_the_same_bits(tmp_path, network, data, recipe, teacher, monkeypatch, feature):
    fields = FEATURES[feature] | ({"teacher": teacher} if "teacher" in FEATURES[feature] else {})
    recipe = replace(recipe, **fields)
    whole, _ = run_once(tmp_path / "whole", network, data, recipe)
    monkeypatch.setattr(session, "Checkpoints", type("Stop", (StopAt,), {"step": 5}))
    with pytest.raises(Interrupted):
        run_once(tmp_path / "parts", network, data, recipe)
    monkeypatch.undo()
    parts, _ = run_once(tmp_path / "parts", network, data, recipe, resume=True)
    assert_same(whole, parts)


class StopInValidation(session.Checkpoints):
    """Sends the signal while the second batch of the second epoch's validation is under way."""

    def on_validation_batch_start(self, trainer, pl_module, batch, batch_idx, dataloader_idx=0):
        if trainer.current_epoch == 1 and batch_idx == 1:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.long
@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_validation_is_broken_off_and_repeated_whole(tmp_path, network, data, recipe, unbroken, monkeypatch, ema):
    recipe = replace(recipe, ema=ema)
    whole = unbroken(recipe)
    monkeypatch.setattr(session, "Checkpoints", StopInValidation)
    with pytest.raises(Interrupted, match="stopped at step 6 "):
        run_once(tmp_path / "parts", network, data, recipe)
    monkeypatch.undo()
    parts, _ = run_once(tmp_path / "parts", network, data, recipe, resume=True)
    assert_same(whole, parts)


class DieAt(session.Checkpoints):
    """Ends the training as a kill would: nothing is saved any more."""

    step = 0

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_step == self.step:
            raise RuntimeError("killed")


@pytest.mark.long
def test_a_killed_run_goes_on_from_within_the_epoch_whatever_the_workers(
    tmp_path, network, photos, recipe, monkeypatch
):
    augment = Augment(crop="inception", flip=True, erase=0.3)
    recipe = replace(recipe, augment=augment, epochs=2)
    whole, _ = run_once(tmp_path / "whole", network, photos, recipe)
    monkeypatch.setattr(session, "Checkpoints", DieAt)
    steps = []
    for died, workers in ((1, 0), (2, 1), (4, 2)):
        DieAt.step = died
        with pytest.raises(RuntimeError, match="killed"):
            run_once(
                tmp_path / "parts", network, photos, recipe, resume=died > 1, workers=workers, every=Interval(steps=1)
            )
        steps.append(newest(tmp_path / "parts" / "checkpoints").step)
    monkeypatch.undo()
    assert steps == [1, 2, 4]  # three steps make an epoch
    parts, _ = run_once(tmp_path / "parts", network, photos, recipe, resume=True, workers=1)
    assert_same(whole, parts)


class SlowFrom(session.Pace):
    """A clock on which epochs take a second until `epoch`, and ten seconds after it."""

    epoch = 2

    def on_train_epoch_end(self, trainer, pl_module):
        self.begun = time.perf_counter() - (1 if trainer.current_epoch < self.epoch else 10)
        super().on_train_epoch_end(trainer, pl_module)


@pytest.mark.long
def test_a_machine_that_becomes_slow_gets_fewer_epochs_and_the_same_schedule(
    tmp_path, network, data, recipe, monkeypatch
):
    monkeypatch.setattr(session, "Pace", SlowFrom)
    monkeypatch.setattr(opening, "settle", lambda network, data, recipe, *_: replace(recipe, epochs=30))
    run, _ = run_once(tmp_path / "run", network, data, replace(recipe, minutes=0.72, warmup_epochs=1))
    rows = list(csv.DictReader(io.StringIO(run.metrics.read_text())))
    # 43 s: two epochs of 1 s, then 10 s each. The third is taken for a disturbance; after the fourth, with 22 s spent,
    # two more fit.
    assert len(rows) == run.recipe.epochs == 6
    rates = [float(row["rate"]) for row in rows]
    assert rates[-1] < 0.1 * max(rates)
    assert all(later < earlier for earlier, later in pairwise(rates[2:]))


@pytest.mark.long
def test_a_shortened_run_resumes_in_its_new_length(tmp_path, network, data, recipe, monkeypatch):
    monkeypatch.setattr(session, "Pace", SlowFrom)
    monkeypatch.setattr(opening, "settle", lambda network, data, recipe, *_: replace(recipe, epochs=30))
    timed = replace(recipe, minutes=0.72, warmup_epochs=1)
    whole, _ = run_once(tmp_path / "whole", network, data, timed)
    monkeypatch.setattr(session, "Checkpoints", type("Stop", (StopAt,), {"step": 10}))
    with pytest.raises(Interrupted):
        run_once(tmp_path / "parts", network, data, timed)
    monkeypatch.setattr(session, "Checkpoints", StopAt.__base__)
    parts, _ = run_once(tmp_path / "parts", network, data, timed, resume=True)
    assert whole.metrics.read_text() == parts.metrics.read_text()


@pytest.mark.long
def test_a_training_on_tar_shards_goes_on_within_an_epoch(tmp_path, network, data, recipe, monkeypatch):
    places = [(data.train, range(25), "train-0"), (data.train, range(25, 48), "train-1")]
    places += [(data.holdout, range(24), "val-0"), (data.test, range(24), "test-0")]
    for source, indices, name in places:
        with (tmp_path / f"{name}.tar").open("wb") as file, TarWriter(file) as writer:
            for index in indices:
                image = F.to_pil_image(source.load(index))
                writer.write({"__key__": f"{index:03d}", "png": image, "cls": data.classes[source.labels[index]]})
    opened = open_data(str(tmp_path), channels=1, root=tmp_path / "kept")
    assert [len(part) for part in (opened.train, opened.holdout, opened.test)] == [48, 24, 24]
    whole, _ = run_once(tmp_path / "runs" / "whole", network, opened, recipe, workers=0)
    monkeypatch.setattr(session, "Checkpoints", type("Stop", (StopAt,), {"step": 4}))
    with pytest.raises(Interrupted, match="go on with: compound resume "):
        run_once(tmp_path / "runs" / "parts", network, opened, recipe, workers=2)
    monkeypatch.undo()
    parts, _ = run_once(tmp_path / "runs" / "parts", network, opened, recipe, resume=True, workers=1)
    assert_same(whole, parts)
