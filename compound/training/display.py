"""What a training shows while it goes on."""

import math
import resource
import sys
import time
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from compound.data import Batch
from compound.parallel import is_first, size
from compound.quantity import short
from compound.training.metrics import rows_of

EVERY = 30.0  # s between lines within an epoch, where there is no bar


def memory_text() -> str:
    """The most memory so far: of the GPU where there is one, else of this process."""
    if torch.cuda.is_available() and torch.cuda.max_memory_reserved():
        return f"{short(torch.cuda.max_memory_reserved())}B of the GPU"
    unit = 1 if sys.platform == "darwin" else 1024  # of what the system counts in
    return f"{short(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)}B"


class Display(Callback):
    """A bar with rate, time left and memory on a terminal, and a line an epoch everywhere; all on standard error.

    Without a terminal a line every `EVERY` seconds says how far a long epoch has come. A number of epochs that is
    another by more than a tenth is told by itself.
    """

    def __init__(self, quiet: bool = False) -> None:
        quiet = quiet or not is_first()
        self.console = Console(stderr=True, quiet=quiet, highlight=False)
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]:,.0f} images/s"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[memory]}"),
            console=self.console,
            disable=quiet or not self.console.is_terminal,
            transient=True,
        )
        self.images, self.spent, self.planned = 0, 0.0, 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        total = int(trainer.num_training_batches) * int(trainer.max_epochs or 1)
        self.task = self.bar.add_task("training", total=total, completed=trainer.global_step, speed=0, memory="")
        self.bar.start()
        self.planned = int(trainer.max_epochs or 1)
        self.said = self.since = time.perf_counter()  # an epoch taken up in its middle is not announced as started

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.images, self.since = 0, time.perf_counter()
        self.said = self.since

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        self.images += len(batch.labels) * size()
        self.spent = time.perf_counter() - self.since
        epoch = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
        total = int(trainer.num_training_batches) * int(trainer.max_epochs or 1)  # `Pace` may have shortened it
        self.bar.update(
            self.task, advance=1, total=total, description=epoch, speed=self.images / self.spent, memory=memory_text()
        )
        if not self.console.is_terminal and self.since + self.spent - self.said > EVERY:
            self.said = self.since + self.spent
            done = f"{batch_idx + 1:,} of {int(trainer.num_training_batches):,} steps"
            self.console.print(f"{epoch}: {done}, {self.images / self.spent:,.0f} images/s")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        row = rows_of(trainer)[-1]
        epoch, last = int(row["epoch"]), int(trainer.max_epochs or 1)
        left = (time.perf_counter() - self.since) * (last - epoch)
        held = "" if math.isnan(row["val_top1"]) else f"holdout {row['val_top1']:.1%}  "  # of none there is no accuracy
        self.console.print(
            f"epoch {epoch:>3}/{last}  loss {row['train_loss']:.4f}  train {row['train_top1']:.1%}  "
            f"{held}{self.images / max(self.spent, 1e-9):,.0f} images/s  "
            f"left {int(left // 60)}:{int(left % 60):02d}" + (f"\nmemory {memory_text()}" if epoch == last else ""),
            soft_wrap=True,
        )
        if abs(last - self.planned) > self.planned / 10:  # every line has the number
            self.console.print(f"planned anew: {last} epochs instead of {self.planned}, what the minutes hold now")
            self.planned = last

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self.bar.stop()
