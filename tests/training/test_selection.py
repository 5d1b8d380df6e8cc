"""The best epoch by the holdout is kept and evaluated; training stops when nothing gets better."""

import csv
import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

import compound.training.session as session
from compound.data import DataSet
from compound.execution import Execution
from compound.training import Interrupted, start_run, train
from compound.training.selection import Best

CPU = Execution("cpu")


class Scripted(Best):
    """Epochs with the accuracies of a list."""

    accuracies = ()

    def on_validation_epoch_end(self, trainer, pl_module):
        value = torch.tensor(self.accuracies[trainer.current_epoch])
        pl_module.accuracy.compute = lambda: value  # in place of the metric's
        super().on_validation_epoch_end(trainer, pl_module)
        del pl_module.accuracy.compute


def run_once(out, network, data, recipe, resume=False):
    return train(start_run(network, data, recipe, out, seed=3, resume=resume), data, execution=CPU, quiet=True)


def epochs_of(run):
    return len(list(csv.DictReader(run.metrics.read_text().splitlines())))


@pytest.fixture
def scripted(monkeypatch):
    def use(*accuracies):
        monkeypatch.setattr(session, "Best", type("One", (Scripted,), {"accuracies": accuracies}))

    return use


@pytest.mark.slow
def test_the_best_epochs_averaged_weights_are_the_result(tmp_path, network, data, recipe, scripted):
    scripted(0.3, 0.6, 0.6, 0.5)
    run, _ = run_once(tmp_path / "best", network, data, replace(recipe, select="best"))
    kept = torch.load(run.path / "checkpoints" / "best.ckpt", weights_only=True)
    assert kept["epoch"] == 2  # of equals the first
    assert kept["val_top1"] == pytest.approx(0.6)
    weights = load_file(run.weights)
    assert all(torch.equal(weights[name], tensor) for name, tensor in kept["state_dict"].items())
    # The average at the end of epoch 2 is what a run has that is stopped there and saved.
    scripted(0.1, 0.9, 0.2, 0.2)
    same, _ = run_once(tmp_path / "same", network, data, replace(recipe, select="best"))
    assert all(torch.equal(tensor, weights[name]) for name, tensor in load_file(same.weights).items())
    last, _ = run_once(tmp_path / "last", network, data, recipe)
    assert not all(torch.equal(tensor, weights[name]) for name, tensor in load_file(last.weights).items())
    assert not (last.path / "checkpoints" / "best.ckpt").exists()


@pytest.mark.slow
def test_averaged_weights_are_what_was_validated(tmp_path, network, data, recipe):
    """The kept weights have the kept accuracy on the holdout."""
    from compound.evaluation import evaluate
    from compound.nn import build

    run, _ = run_once(tmp_path / "run", network, data, replace(recipe, select="best", epochs=6))
    kept = torch.load(run.path / "checkpoints" / "best.ckpt", weights_only=True)
    model = build(network)
    model.load_state_dict(kept["state_dict"])
    assert evaluate(model, data.holdout, data.classes, CPU).top(1) == pytest.approx(kept["val_top1"])


@pytest.mark.long
def test_patience_ends_the_training_and_resuming_does_not_prolong_it(
    tmp_path, network, data, recipe, scripted, monkeypatch
):
    scripted(0.3, 0.6, 0.5, 0.6, 0.9, 0.9, 0.9, 0.9)
    patient = replace(recipe, epochs=8, patience=2)
    run, _ = run_once(tmp_path / "run", network, data, patient)
    assert epochs_of(run) == run.epochs_done() == 4
    assert run.state == "done"
    assert json.loads(run.evaluation.read_text())["chosen"]["epoch"] == 2
    best = torch.load(run.path / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    weights = load_file(run.weights)
    assert all(torch.equal(weights[name], tensor) for name, tensor in best.items())

    class StopAtTheEnd(session.Checkpoints):
        def on_train_epoch_end(self, trainer, pl_module):
            self.asked = "SIGINT" if trainer.current_epoch == 3 else None
            super().on_train_epoch_end(trainer, pl_module)

    monkeypatch.setattr(session, "Checkpoints", StopAtTheEnd)
    with pytest.raises(Interrupted):
        run_once(tmp_path / "parts", network, data, patient)
    monkeypatch.setattr(session, "Checkpoints", StopAtTheEnd.__base__)
    resumed, _ = run_once(tmp_path / "parts", network, data, patient, resume=True)
    assert epochs_of(resumed) == 4
    assert run.metrics.read_text() == resumed.metrics.read_text()


@pytest.mark.long
def test_without_a_holdout_the_last_epoch_is_taken(tmp_path, network, data, recipe):
    none = DataSet(data.name, data.classes, 1, data.train, data.holdout.subset([]), data.test)
    run, result = run_once(tmp_path / "run", network, none, replace(recipe, select="best", patience=1, epochs=2))
    assert epochs_of(run) == 2
    assert result.images == 60
