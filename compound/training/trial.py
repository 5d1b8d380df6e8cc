"""Training steps outside of any run: what is measured before the first step."""

import math
import statistics
import time
from collections.abc import Iterator
from itertools import cycle

import torch

from compound.data import Batch, DataSet, Preprocessing, make_loader
from compound.execution import Execution
from compound.measurement.machine import keep_freed_memory
from compound.network import Network
from compound.nn import build
from compound.training.module import Training
from compound.training.optim import set_rate
from compound.training.recipe import Compile, Recipe
from compound.training.teacher import find_teacher

WARM_UP = 2  # steps that are not counted
MOST_SECONDS = 20.0  # of a measurement: steps that take seconds each are timed well enough by two
MOST_SHARE, LEAST_SECONDS = 0.1, 2.0  # of a training's minutes, and what even the shortest measures for


def warmed_up(times: list[float]) -> list[float]:
    """Those that count: all but the first `WARM_UP`, of few but the first of all."""
    return times[min(WARM_UP, len(times) - 1) :]


def long_enough(times: list[float], recipe: Recipe) -> bool:
    """Whether steps are so long, beside the minutes that the recipe has, that these suffice."""
    minutes = math.inf if recipe.minutes is None else recipe.minutes
    return len(times) > 1 and sum(times) > min(MOST_SECONDS, max(LEAST_SECONDS, 60 * MOST_SHARE * minutes))


class Trial:
    """A fresh network that takes training steps on the real batches; always the same from the same seed."""

    def __init__(
        self,
        network: Network,
        data: DataSet,
        recipe: Recipe,
        execution: Execution = Execution(),
        *,
        precision: str = "fp32",
        compile: Compile = "never",
        seed: int = 0,
    ) -> None:
        keep_freed_memory()  # as the training itself
        self.where, self.precision, self.seed, self.taken = execution.where, precision, seed, 0
        preprocessing = Preprocessing.of(network)
        self.loader = make_loader(
            data.train, preprocessing, recipe.batch, augment=recipe.augment, shuffle=True, drop_last=True,
            seed=seed, workers=execution.workers_for(data.train), repeats=recipe.repeats,
        )  # fmt: skip
        model = build(network, seed=seed)
        steps = max(len(data.train) // recipe.batch, 1)
        self.module = Training(model, recipe, steps, seed, find_teacher(recipe, data)).to(self.where)
        self.module.take_steps(compile, recipe.batch)
        self.optimizer = self.module.configure_optimizers()

    def batches(self) -> Iterator[Batch]:
        """The training batches, over and over."""
        return cycle(self.loader)

    def step(self, batch: Batch, rate: float | None = None) -> float | None:
        """Take one step, at `rate` if given; the loss, or None where the batch was damaged."""
        if rate is not None:
            set_rate(self.optimizer, rate)
        torch.manual_seed(self.seed + self.taken)
        self.taken += 1
        with torch.autocast(self.where.type, torch.bfloat16, enabled=self.precision == "bf16"):
            result = self.module.training_step(batch.to(self.where), 0)
        if result is None:
            return None
        result["loss"].backward()
        self.optimizer.step()
        return float(result["loss"].item())  # waits for the device

    def seconds(self, least: float) -> float:
        """The median time of a step, loading included, over `least` seconds and three steps or, if long, two."""
        each: list[float] = []
        begun = time.perf_counter()
        for batch in self.batches():
            self.step(batch)
            now = time.perf_counter()
            each.append(now - begun)
            begun = now
            if long_enough(each, self.module.recipe) or (len(each) > WARM_UP + 2 and sum(each[WARM_UP:]) > least):
                break
        return statistics.median(warmed_up(each))
