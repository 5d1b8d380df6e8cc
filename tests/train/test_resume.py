"""A run that is stopped and resumed ends in the same bits as one that is not."""

import os
import signal

import pytest
from pytorch_lightning import Callback
from safetensors.torch import load_file

import compound.train.fit as fit
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
