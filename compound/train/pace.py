"""What a recipe leaves to the machine: the faster precision, and how many epochs fit into some minutes."""

import math
import time
from dataclasses import replace
from itertools import cycle, islice

import torch
from torch import Tensor

from compound.data import Batch, DataSet, Preprocessing, make_loader
from compound.errors import UsageError
from compound.inference import pick_device
from compound.network import Network
from compound.nn import build
from compound.train.module import Training
from compound.train.recipe import Recipe

MEASURE_SECONDS = 2.0
WARM_UP = 2  # steps that are not counted
RESERVE = 0.92  # share of the time that is planned; machines are not even


def settle(
    network: Network, data: DataSet, recipe: Recipe, minutes: float | None, *, workers: int = 0, device: str = "auto"
) -> Recipe:
    """The recipe with its precision decided and, given `minutes`, as many epochs as they hold (at least one).

    Both rest on a few measured training steps on the real batches. What is settled is written into the run, so that
    resuming it measures nothing.
    """
    if minutes is not None and not (math.isfinite(minutes) and minutes > 0):
        raise UsageError(f"minutes {minutes} is not a positive number; use e.g. 3")
    if recipe.precision != "auto" and minutes is None:
        return recipe
    started = time.perf_counter()
    candidates = ("fp32", "bf16") if recipe.precision == "auto" else (recipe.precision,)
    seconds = {p: step_seconds(network, data, recipe, p, workers, device) for p in candidates}
    precision = min(seconds, key=lambda p: seconds[p])
    recipe = replace(recipe, precision=precision)
    if minutes is None:
        return recipe
    # A validation image costs about a third of a training image.
    epoch = seconds[precision] * (len(data.train) + len(data.holdout) / 3) / recipe.batch
    left = minutes * 60 * RESERVE - (time.perf_counter() - started)
    return replace(recipe, epochs=max(1, math.floor(left / epoch)))


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
    counted = sorted(seconds[WARM_UP:])
    return counted[len(counted) // 2]
