"""What a recipe leaves to the machine: the faster precision, and how many epochs fit into some minutes."""

import math
import statistics
import time
from dataclasses import asdict, replace
from itertools import cycle, islice
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from compound.data import Batch, DataSet, Preprocessing, make_loader
from compound.inference import pick_device
from compound.network import Network
from compound.nn import build
from compound.train.module import Training
from compound.train.recipe import Recipe, Timeline

MEASURE_SECONDS = 2.0
WARM_UP = 2  # steps that are not counted
RESERVE = 0.92  # share of the time that is planned; machines are not even


def settle(network: Network, data: DataSet, recipe: Recipe, *, workers: int = 0, device: str = "auto") -> Recipe:
    """The recipe with its precision decided and, if it has `minutes`, as many epochs as they hold (at least one).

    Both rest on a few measured training steps on the real batches. What is settled is written into the run, so that
    resuming it measures nothing.
    """
    if recipe.precision != "auto" and recipe.minutes is None:
        return recipe
    started = time.perf_counter()
    candidates = ("fp32", "bf16") if recipe.precision == "auto" else (recipe.precision,)
    seconds = {p: step_seconds(network, data, recipe, p, workers, device) for p in candidates}
    precision = min(seconds, key=lambda p: seconds[p])
    recipe = replace(recipe, precision=precision)
    if recipe.minutes is None:
        return recipe
    # A validation image costs about a third of a training image.
    epoch = seconds[precision] * (len(data.train) + len(data.holdout) / 3) / recipe.batch
    left = recipe.minutes * 60 * RESERVE - (time.perf_counter() - started)
    return replace(recipe, epochs=max(1, math.floor(left / epoch)))


class Pace(Callback):
    """Keeps a training of `minutes` in its time: after every epoch, as many more as the time left holds.

    A machine that became slower or faster gets fewer or more epochs, and the schedule ends with them. Where it keeps
    its speed, to a tenth, nothing is changed.
    """

    def __init__(self, minutes: float) -> None:
        self.seconds = 60 * minutes
        self.spent = 0.0
        self.recent: list[float] = []  # seconds of the last epochs
        self.timeline: dict[str, float] | None = None  # once it was changed

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.timeline:
            self._apply(trainer, pl_module, Timeline(**self.timeline))
        self.begun = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        now = time.perf_counter()
        self.recent = [*self.recent[-2:], now - self.begun]
        self.spent += self.recent[-1]
        self.begun = now
        done, planned = trainer.current_epoch + 1, int(trainer.max_epochs or 1)
        if done < planned:
            # The median, so that one disturbed epoch decides nothing.
            hold = math.floor((self.seconds - self.spent) / statistics.median(self.recent))
            left = planned - done
            if hold < left or hold > 1.1 * left + 1:
                self._apply(trainer, pl_module, pl_module.timeline.ending(done, done + max(hold, 1)))

    def _apply(self, trainer: Trainer, pl_module: LightningModule, timeline: Timeline) -> None:
        pl_module.timeline = timeline
        self.timeline = asdict(timeline)
        trainer.fit_loop.max_epochs = int(timeline.epochs)

    def state_dict(self) -> dict[str, Any]:
        return {"spent": self.spent, "recent": self.recent, "timeline": self.timeline}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        vars(self).update(state_dict)


def step_seconds(network: Network, data: DataSet, recipe: Recipe, precision: str, workers: int, device: str) -> float:
    """The median time of one training step, loading included."""
    where = pick_device(device)
    preprocessing = Preprocessing.of(network, data.channels)
    loader = make_loader(
        data.train, preprocessing, recipe.batch, augment=recipe.augment, shuffle=True, drop_last=True, workers=workers
    )
    model = build(network, len(data.classes), data.channels, seed=0)
    module = Training(model, recipe, steps_per_epoch=1, seed=0).to(where)
    optimizer = module.configure_optimizers()

    def step(batch: Batch) -> None:
        with torch.autocast(where.type, torch.bfloat16, enabled=precision == "bf16"):
            result = module.training_step(batch.to(where), 0)
        loss: Tensor = result["loss"] if result else torch.zeros(1, requires_grad=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
        loss.item()  # waits for the device

    seconds: list[float] = []
    for batch in islice(cycle(loader), 1000):
        begun = time.perf_counter()
        step(batch)
        seconds.append(time.perf_counter() - begun)
        if len(seconds) > WARM_UP + 2 and sum(seconds[WARM_UP:]) > MEASURE_SECONDS:
            break
    return statistics.median(seconds[WARM_UP:])
