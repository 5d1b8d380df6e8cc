"""What a training prints where there is no terminal."""

from types import SimpleNamespace

import pytest
import torch

from compound.training import display
from compound.training.display import Display
from compound.training.metrics import Metrics


def test_progress_within_an_epoch_and_a_new_plan_are_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    now = [100.0]
    monkeypatch.setattr(display, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    metrics = Metrics(tmp_path / "metrics.csv", {})
    row = dict.fromkeys(Metrics.COLUMNS, 0.5) | {"epoch": 1}
    trainer = SimpleNamespace(num_training_batches=5, max_epochs=7, global_step=0, current_epoch=0, callbacks=[metrics])
    shown = Display()
    shown.on_train_start(trainer, None)
    shown.on_train_epoch_start(trainer, None)
    for step in range(5):
        now[0] += 20
        shown.on_train_batch_end(trainer, None, None, SimpleNamespace(labels=torch.zeros(8)), step)
    metrics.rows.append(row)
    trainer.max_epochs = 3  # what `Pace` does where the machine became slower
    shown.on_train_epoch_end(trainer, None)
    metrics.rows.append(row | {"val_top1": float("nan")})  # none are held out
    shown.on_train_epoch_end(trainer, None)
    shown.teardown(trainer, None, "fit")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "epoch 1/7: 2 of 5 steps, 0 images/s"
    assert lines[1].startswith("epoch 1/7: 4 of 5 steps")
    assert lines[2].startswith("epoch   1/3  loss 0.5000")
    assert lines[3] == "planned anew: 3 epochs instead of 7, what the minutes hold now"
    assert "holdout 50.0%" in lines[2]
    assert not any("holdout" in line or "planned" in line for line in lines[4:])
