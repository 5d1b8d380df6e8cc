"""Training of a supernet by sampling: each step trains networks of the space that the search may choose."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch.optim import Optimizer

from compound.data import DataSet, Preprocessing, make_loader
from compound.execution import Execution
from compound.search.supernet import Supernet
from compound.search.supernet_file import save_supernet, seen_beside
from compound.training.module import Training
from compound.training.pace import Pace
from compound.training.recipe import Recipe
from compound.training.seen import seen_in, write_seen
from compound.training.trainer import make_trainer

CLIP = 2.0  # norm of the gradient: networks drawn one after the other pull at the same weights


class SupernetTraining(Training):
    """Most weights have no gradient in a step, which torch's fused optimisers cannot have."""

    def configure_optimizers(self) -> Optimizer:
        optimizer = super().configure_optimizers()
        for group in optimizer.param_groups:
            group["fused"] = False
        return optimizer


class Progress(Callback):
    """Says a line an epoch, with the mean loss of its networks."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say, self.loss, self.steps, self.begun = say, 0.0, 0, time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if outputs:
            self.loss += outputs["loss"].item()
            self.steps += 1

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        seconds, mean = time.perf_counter() - self.begun, self.loss / max(self.steps, 1)
        self.say(f"shared weights: epoch {trainer.current_epoch + 1}, loss {mean:.4f}, {seconds:.0f} s")
        self.loss, self.steps = 0.0, 0


def train_supernet(
    supernet: Supernet,
    data: DataSet,
    recipe: Recipe,
    out: Path,
    execution: Execution = Execution(),
    *,
    seed: int = 0,
    say: Callable[[str], None] = print,
) -> Path:
    """Train the shared weights on the training images, for the recipe's epochs or minutes, and write them to `out`.

    The order of images and the networks of a step follow from `seed` alone.
    """
    recipe = replace(recipe, precision="fp32")
    write_seen(seen_beside(out), seen_in(data))
    batch = min(recipe.batch, len(data.train))
    loader = make_loader(
        data.train, Preprocessing.of(supernet.network), batch, augment=recipe.augment,
        shuffle=True, drop_last=True, seed=seed, workers=execution.workers_for(data.train), repeats=recipe.repeats,
    )  # fmt: skip
    module = SupernetTraining(supernet, recipe, max(len(data.train) // batch, 1), seed)  # type: ignore[arg-type]  # its network and forward pass are those of a ConvNet
    callbacks = [Progress(say), *([Pace(recipe.minutes)] if recipe.minutes else [])]
    trainer = make_trainer(recipe, execution, callbacks, clip=CLIP)
    torch.manual_seed(seed)
    trainer.fit(module, loader)
    return save_supernet(supernet, out)
