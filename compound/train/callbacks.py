"""What happens around the steps: the metrics file, checkpoints, stopping, damaged images, progress."""

import csv
import io
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.plugins.io import TorchCheckpointIO
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from compound.data import Batch, DamageLog
from compound.files import make_folder, write_text, write_with


class Stopped(Exception):
    """Training was asked to stop; the checkpoint is written."""


class AtomicCheckpointIO(TorchCheckpointIO):
    """Checkpoints that are whole or absent: a temporary file, flushed to the disk, then renamed."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        make_folder(Path(path).parent)
        write_with(path, lambda temporary: torch.save(checkpoint, temporary))

    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True) -> dict[str, Any]:
        loaded: dict[str, Any] = torch.load(path, map_location=map_location, weights_only=True)
        return loaded


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
        text = io.StringIO()
        writer = csv.DictWriter(text, self.COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.path, text.getvalue())
        if trainer.logger:
            trainer.logger.log_metrics(
                {n: v for n, v in row.items() if n not in ("epoch", "step")}, trainer.global_step
            )

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows, "loss": self.loss, "right": self.right, "images": self.images}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        vars(self).update(state_dict)


class Checkpoints(Callback):
    """last.ckpt after every epoch, and at once after the step in which Ctrl-C or SIGTERM arrived."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked: str | None = None
        self._previous: dict[int, Any] = {}
        self._before, self._since = 0.0, time.perf_counter()

    @property
    def seconds(self) -> float:
        """Time spent on this training, earlier sessions included."""
        return self._before + time.perf_counter() - self._since

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._before = state_dict["seconds"]

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._since = time.perf_counter()
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._stop)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self.asked:  # asked twice: at once, the last checkpoint stands
            raise KeyboardInterrupt
        self.asked = signal.Signals(number).name
        print(f"\n{self.asked}: finishing this step, then saving", file=sys.stderr)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        if self.asked and not trainer.is_last_batch:
            self._save(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        trainer.save_checkpoint(self.path)
        if self.asked:
            raise Stopped


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


class Display(Callback):
    """A bar with rate and time left on a terminal, and a line an epoch everywhere; all on standard error."""

    def __init__(self, quiet: bool = False) -> None:
        self.console = Console(stderr=True, quiet=quiet, highlight=False)
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]:,.0f} images/s"),
            TimeRemainingColumn(),
            console=self.console,
            disable=quiet or not self.console.is_terminal,
            transient=True,
        )
        self.images, self.spent = 0, 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        total = int(trainer.num_training_batches) * int(trainer.max_epochs or 1)
        self.task = self.bar.add_task("training", total=total, completed=trainer.global_step, speed=0)
        self.bar.start()
        self.since = time.perf_counter()  # an epoch taken up in its middle is not announced as started

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.images, self.since = 0, time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        self.images += len(batch.labels)
        self.spent = time.perf_counter() - self.since
        epoch = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
        total = int(trainer.num_training_batches) * int(trainer.max_epochs or 1)  # `Pace` may have shortened it
        self.bar.update(self.task, advance=1, total=total, description=epoch, speed=self.images / self.spent)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        row = next(c for c in trainer.callbacks if isinstance(c, Metrics)).rows[-1]  # type: ignore[attr-defined]
        epoch, last = int(row["epoch"]), int(trainer.max_epochs or 1)
        left = (time.perf_counter() - self.since) * (last - epoch)
        self.console.print(
            f"epoch {epoch:>3}/{last}  loss {row['train_loss']:.4f}  train {row['train_top1']:.1%}  "
            f"holdout {row['val_top1']:.1%}  {self.images / max(self.spent, 1e-9):,.0f} images/s  "
            f"left {int(left // 60)}:{int(left % 60):02d}"
        )

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self.bar.stop()
