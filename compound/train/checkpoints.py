"""Checkpoints that are whole or absent, and stopping on request."""

import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.plugins.io import TorchCheckpointIO

from compound.data import Batch
from compound.files import make_folder, write_with


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
