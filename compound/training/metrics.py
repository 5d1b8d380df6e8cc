"""The metrics file, and the count of damaged images."""

from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from compound.data import Batch, DamageLog
from compound.documents import write_records
from compound.parallel import is_first, summed


class Metrics(Callback):
    """metrics.csv: epoch, step, rate, train_loss, train_top1, val_loss, val_top1.

    Rows and the sums of the running epoch are part of the checkpoint, so a resumed run writes the same file.
    """

    COLUMNS = ("epoch", "step", "rate", "train_loss", "train_top1", "val_loss", "val_top1")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, float]] = []
        self.loss = self.right = self.images = 0.0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        if not outputs:  # a batch of damaged images
            return
        count = len(batch.labels)
        self.loss += outputs["loss"].item() * count
        self.right += outputs["right"].item()
        self.images += count

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.loss, self.right, self.images = summed([self.loss, self.right, self.images])
        said = {name: value.item() for name, value in trainer.callback_metrics.items()}
        images = max(self.images, 1)
        row = {
            "epoch": trainer.current_epoch + 1,
            "step": trainer.global_step,
            "rate": trainer.optimizers[0].param_groups[0]["lr"],
            "train_loss": self.loss / images,
            "train_top1": self.right / images,
            "val_loss": said.get("val_loss", float("nan")),
            "val_top1": said.get("val_top1", float("nan")),
        }
        self.rows.append(row)
        self.loss = self.right = self.images = 0.0
        if is_first():
            write_records(self.path, self.rows, self.COLUMNS)
        if trainer.logger:
            trainer.logger.log_metrics(
                {n: v for n, v in row.items() if n not in ("epoch", "step")}, trainer.global_step
            )

    def state_dict(self) -> dict[str, Any]:
        loss, right, images = summed([self.loss, self.right, self.images])
        return {"rows": self.rows, "loss": loss, "right": right, "images": images}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        vars(self).update(state_dict)
        if not is_first():  # the sums are everyone's
            self.loss = self.right = self.images = 0.0


class Damage(Callback):
    """Counts images that could not be read; too many stop the training."""

    def __init__(self, log: DamageLog) -> None:
        self.log_ = log

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        self.log_.add(batch)

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self.log_.add(batch)
