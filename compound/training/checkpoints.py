"""When a checkpoint is written, and stopping on request."""

import signal
import time
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from compound.data import Batch
from compound.notes import note
from compound.parallel import gathered, highest
from compound.quantity import Interval
from compound.training.averaging import Averaging
from compound.training.divergence import Diverged
from compound.training.sharding import share
from compound.training.storage import LAST

DUE, ASKED = 1, 2
AGAIN = 1.0  # seconds after which a second signal is meant as one


class EndOfSession(Exception):
    """Training was asked to stop; the checkpoint is written."""


class Checkpoints(Callback):
    """last.ckpt after every epoch, every so often within one, and at once after Ctrl-C or SIGTERM.

    The one before is kept as previous.ckpt.
    """

    def __init__(self, folder: Path, every: Interval = Interval(seconds=600)) -> None:
        self.folder = folder
        self.every = every
        self.asked: str | None = None
        self._asked_at = 0.0
        self._handlers: dict[int, Any] = {}
        self._before, self._since = 0.0, time.perf_counter()
        self._saved_at, self._saved_step = time.perf_counter(), 0

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
        self._handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        self._take_signals()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Once more: Lightning has put a handler of its own around, which waits for the other processes at once, while
        # they may be in the middle of a step.
        self._take_signals()
        self._saved_at, self._saved_step = time.perf_counter(), trainer.global_step

    def _take_signals(self) -> None:
        for number in self._handlers:
            signal.signal(number, self._stop)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self.return_signals()

    def return_signals(self) -> None:
        """Signals mean what they meant before; Lightning's teardown is left out where a training is interrupted."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            # Asked twice: at once, the last checkpoint stands. But torchrun hands on what all processes have had.
            if time.perf_counter() - self._asked_at > AGAIN:
                raise KeyboardInterrupt
            return
        self._ask(signal.Signals(number).name)
        note(f"\n{self.asked}: finishing this step, then saving")

    def _ask(self, who: str) -> None:
        self.asked, self._asked_at = who, time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        # After the last step of an epoch comes its validation, and then the checkpoint.
        if not trainer.is_last_batch and self._agreed(trainer):
            self._save(trainer)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """A validation is not finished for somebody who waits; the resumed run repeats it from its beginning."""
        if self._agreed(trainer) < ASKED:
            return
        for callback in trainer.callbacks:  # type: ignore[attr-defined]  # Lightning sets it out of sight
            if isinstance(callback, Averaging):  # the weights, not the average that is validated
                callback.on_validation_epoch_end(trainer, pl_module)
        progress: Any = trainer.fit_loop.epoch_loop.val_loop.batch_progress
        for count in (progress.total, progress.current):
            # What Lightning takes for a validation that had begun its first batch.
            count.ready = count.started = 1
            count.processed = count.completed = 0
        self._save(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._save(trainer)

    def _agreed(self, trainer: Trainer) -> int:
        """DUE for a checkpoint, ASKED to stop, or 0, in every process alike."""
        steps, seconds = trainer.global_step - self._saved_step, time.perf_counter() - self._saved_at
        due = steps >= self.every.steps or seconds >= self.every.seconds
        agreed = highest(ASKED if self.asked else DUE if due else 0)
        if agreed == ASKED and not self.asked:
            self._ask("another process")
        return agreed

    def _save(self, trainer: Trainer) -> None:
        check_finite(trainer)
        trainer.save_checkpoint(self.folder / LAST)
        self._saved_at, self._saved_step = time.perf_counter(), trainer.global_step
        if highest(ASKED if self.asked else 0):
            raise EndOfSession


def check_finite(trainer: Trainer) -> None:
    """Raise `Diverged` where a weight is not finite: such a checkpoint would replace a good one."""
    module = trainer.lightning_module
    floats = ((name, share(tensor)) for name, tensor in module.state_dict().items() if tensor.is_floating_point())
    wrong = next((name for name, tensor in floats if not torch.isfinite(tensor).all()), None)
    for name in gathered(wrong):
        if name:
            raise Diverged(
                f"weights {name} are no longer numbers at step {trainer.global_step}; this step is not saved, "
                "lower --rate"
            )
