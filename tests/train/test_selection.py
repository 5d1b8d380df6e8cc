"""The best epoch by the holdout is kept and evaluated; training stops when nothing gets better."""

import csv
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

import compound.train.fit as fit
from compound.data import DataSet
from compound.train import Interrupted, start_run, train
from compound.train.module import Training
from compound.train.selection import best_weights
from compound.train.storage import load


def run_once(out, network, data, recipe, resume=False):
    return train(
        start_run(network, data, "pictures", recipe, out, seed=3, resume=resume), data, quiet=True, device="cpu"
    )


def epochs_of(run):
    return len(list(csv.DictReader(run.metrics.read_text().splitlines())))


@pytest.fixture
def scripted(monkeypatch):
    """Epochs with the accuracies that are given."""

    def use(*accuracies):
        def validation_step(self, batch, batch_idx):
            self.log("val_loss", torch.tensor(1.0), on_epoch=True, batch_size=len(batch))
            self.log("val_top1", torch.tensor(accuracies[self.current_epoch]), on_epoch=True, batch_size=len(batch))

        monkeypatch.setattr(Training, "validation_step", validation_step)

    return use


def test_the_best_epochs_averaged_weights_are_the_result(tmp_path, network, data, recipe, scripted):
    scripted(0.3, 0.6, 0.6, 0.5)
    run, _ = run_once(tmp_path / "best", network, data, replace(recipe, select="best"))
    assert load(run.checkpoints / "best.ckpt")["global_step"] == 12  # two epochs of six steps; of equals the first
    weights = load_file(run.weights)
    kept = best_weights(run.checkpoints)
    assert kept.keys() == weights.keys()
    assert all(torch.equal(weights[name], tensor) for name, tensor in kept.items())
    scripted(0.1, 0.9, 0.2, 0.2)
    same, _ = run_once(tmp_path / "same", network, data, replace(recipe, select="best"))
    assert all(torch.equal(tensor, weights[name]) for name, tensor in load_file(same.weights).items())
    last, _ = run_once(tmp_path / "last", network, data, recipe)
    assert not all(torch.equal(tensor, weights[name]) for name, tensor in load_file(last.weights).items())


def test_averaged_weights_are_what_was_validated(tmp_path, network, data, recipe):
    """The kept weights have the kept accuracy on the holdout."""
    from compound.nn import build
    from compound.train import evaluate

    run, _ = run_once(tmp_path / "run", network, data, replace(recipe, select="best", epochs=6))
    model = build(network, 3, 1)
    model.load_state_dict(best_weights(run.checkpoints))
    best = max(float(row["val_top1"]) for row in csv.DictReader(run.metrics.read_text().splitlines()))
    assert evaluate(model, data.holdout, data.classes, device="cpu").top(1) == pytest.approx(best)


def test_patience_ends_the_training_and_resuming_does_not_prolong_it(
    tmp_path, network, data, recipe, scripted, monkeypatch
):
    scripted(0.3, 0.6, 0.5, 0.6, 0.9, 0.9, 0.9, 0.9)
    patient = replace(recipe, epochs=8, patience=2)
    run, _ = run_once(tmp_path / "run", network, data, patient)
    assert epochs_of(run) == 4
    assert run.state == "done"

    class StopAtTheEnd(fit.Checkpoints):
        def on_train_epoch_end(self, trainer, pl_module):
            self.asked = "SIGINT" if trainer.current_epoch == 3 else None
            super().on_train_epoch_end(trainer, pl_module)

    monkeypatch.setattr(fit, "Checkpoints", StopAtTheEnd)
    with pytest.raises(Interrupted):
        run_once(tmp_path / "parts", network, data, patient)
    monkeypatch.setattr(fit, "Checkpoints", StopAtTheEnd.__base__)
    resumed, _ = run_once(tmp_path / "parts", network, data, patient, resume=True)
    assert epochs_of(resumed) == 4
    assert run.metrics.read_text() == resumed.metrics.read_text()


def test_without_a_holdout_the_last_epoch_is_taken(tmp_path, network, data, recipe):
    none = DataSet(data.name, data.classes, 1, data.train, data.holdout.subset([]), data.test, 0)
    run, result = run_once(tmp_path / "run", network, none, replace(recipe, select="best", patience=1, epochs=2))
    assert epochs_of(run) == 2
    assert result.images == 60
