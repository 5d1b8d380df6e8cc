"""The metrics file, what the loggers are told, and the count of damaged images."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import TensorBoardLogger

from compound.data import Batch, DamageLog
from compound.documents import write_records
from compound.parallel import is_first, summed
from compound.training.run import Run


def rows_of(trainer: Trainer) -> list[dict[str, float]]:
    """The finished epochs of a training, as its metrics.csv has them."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # Lightning sets it out of sight
    return next(one for one in callbacks if isinstance(one, Metrics)).rows


class Metrics(Callback):
    """metrics.csv: epoch, step, rate, train_loss, train_top1, val_loss, val_top1.

    Rows and the sums of the running epoch are part of the checkpoint, so a resumed run writes the same file.
    The loggers are told each row once, TensorBoard also `setting` as the hyperparameters they are to be compared by.
    """

    COLUMNS = ("epoch", "step", "rate", "train_loss", "train_top1", "val_loss", "val_top1")

    def __init__(self, path: Path, setting: dict[str, Any]) -> None:
        self.path = path
        self.setting = setting
        self.rows: list[dict[str, float]] = []
        self.loss = self.right = self.images = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for logger in trainer.loggers if is_first() else ():
            if isinstance(logger, TensorBoardLogger):
                tell_hyperparameters(logger, self.setting, self.COLUMNS[3:])

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
        known = {name: row[name] for name in self.COLUMNS[2:] if row[name] == row[name]}  # NaN: no held-out images
        for logger in trainer.loggers:
            logger.log_metrics(known, trainer.global_step)

    def state_dict(self) -> dict[str, Any]:
        loss, right, images = summed([self.loss, self.right, self.images])
        return {"rows": self.rows, "loss": loss, "right": right, "images": images}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        vars(self).update(state_dict)
        if not is_first():  # the sums are everyone's
            self.loss = self.right = self.images = 0.0


def hyperparameters(run: Run) -> dict[str, Any]:
    """What decides a training, as TensorBoard takes it: names to numbers, words, yes and no."""
    network, recipe = run.network, asdict(run.recipe)  # defaults too: they change between versions
    found = {"network": network.name, "resolution": network.resolution, "data": run.data["name"], "seed": run.seed}
    for name, value in recipe.items():
        found |= {f"{name}.{part}": one for part, one in value.items()} if isinstance(value, dict) else {name: value}
    return {name: value if isinstance(value, bool | int | float) else str(value) for name, value in found.items()}


def tell_hyperparameters(logger: TensorBoardLogger, setting: dict[str, Any], figures: tuple[str, ...]) -> None:
    """Write what the tab HPARAMS shows. Lightning's own call adds points to the curves that nobody measured."""
    from torch.utils.tensorboard.summary import hparams

    writer: Any = logger.experiment._get_file_writer()
    for summary in hparams(setting, dict.fromkeys(figures, 0)):
        writer.add_summary(summary)


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
