"""The best epoch by the holdout, and stopping when it stays the best."""

from pathlib import Path
from typing import Any, cast

from pytorch_lightning import Callback, LightningModule, Trainer
from torch import nn

from compound.parallel import is_first
from compound.training.sharding import divided, whole
from compound.training.storage import load, save


class Best(Callback):
    """best.ckpt: the weights with the highest accuracy on the holdout, the average's where there is one.

    After `patience` epochs without a better one, training stops. Comes before `Averaging` among the callbacks, which
    takes the averaged weights out again at the end of a validation.
    """

    def __init__(self, path: Path, patience: int | None = None) -> None:
        self.path, self.patience = path, patience
        self.accuracy, self.epoch, self.waited = -1.0, 0, 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._stop_if_done(trainer)  # resumed when all was done but the end

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        module: Any = pl_module  # a `Training`, or the supernet's
        accuracy = float(module.accuracy.compute())
        if accuracy > self.accuracy:
            self.accuracy, self.epoch, self.waited = accuracy, trainer.current_epoch + 1, 0
            value = {"state_dict": whole(module.model.state_dict()), "epoch": self.epoch, "val_top1": accuracy}
            if is_first():
                save(value, self.path)
        else:
            self.waited += 1

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._stop_if_done(trainer)

    def _stop_if_done(self, trainer: Trainer) -> None:
        if self.patience is not None and self.waited >= self.patience:
            trainer.should_stop = True

    def apply(self, module: LightningModule) -> None:
        """Put the best weights into `module`; without a holdout there is no best, and the last stay."""
        if self.epoch:
            best, model = load(self.path)["state_dict"], cast(nn.Module, module.model)
            model.load_state_dict(divided(best, model.state_dict()))

    def state_dict(self) -> dict[str, Any]:
        return {"accuracy": self.accuracy, "epoch": self.epoch, "waited": self.waited}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        vars(self).update(state_dict)
