"""The best epoch by the holdout, and stopping when it stays the best."""

from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from compound.train.storage import BEST, load


class Patience(Callback):
    """Ends a training after so many epochs in a row without a higher accuracy on the holdout."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs
        self.best, self.waited = -1.0, 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._stop_if_done(trainer)  # resumed when all was done but the end

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        score = trainer.callback_metrics.get("val_top1", torch.tensor(0.0)).item()
        self.waited = 0 if score > self.best else self.waited + 1
        self.best = max(score, self.best)
        self._stop_if_done(trainer)

    def _stop_if_done(self, trainer: Trainer) -> None:
        if self.waited >= self.epochs:
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        vars(self).update(state_dict)


def best_weights(checkpoints: Path) -> dict[str, Tensor] | None:
    """The model's state at the best epoch, the average's where there is one; None without a holdout to judge by."""
    path = checkpoints / BEST
    if not path.exists():
        return None
    prefix = "model."
    return {name[len(prefix) :]: t for name, t in load(path)["state_dict"].items() if name.startswith(prefix)}
