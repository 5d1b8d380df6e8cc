"""How many epochs fit into a number of minutes, by a short measurement on the real batches."""

import math
import time
from dataclasses import replace

import torch

from compound.data import DataSet, Preprocessing, make_loader
from compound.errors import UsageError
from compound.inference import pick_device
from compound.network import Network
from compound.nn import build
from compound.train.module import Training
from compound.train.recipe import Recipe

MEASURE_SECONDS = 4.0
RESERVE = 0.9  # share of the time that is planned; machines are not even


def epochs_within(
    network: Network, data: DataSet, recipe: Recipe, minutes: float, *, workers: int = 0, device: str = "auto"
) -> Recipe:
    """The recipe with as many epochs as `minutes` of training hold, at least one."""
    if not (math.isfinite(minutes) and minutes > 0):
        raise UsageError(f"minutes {minutes} is not a positive number; use e.g. 3")
    started = time.perf_counter()
    where = pick_device(device)
    preprocessing = Preprocessing.of(network, data.channels)
    model = build(network, len(data.classes), data.channels, seed=0)
    module = Training(model, recipe, steps_per_epoch=1, seed=0).to(where)
    optimizer = module.configure_optimizers()
    loader = make_loader(
        data.train, preprocessing, recipe.batch, augment=recipe.augment, shuffle=True, workers=workers
    )
    seconds = []
    begun = time.perf_counter()
    for batch in loader:
        result = module.training_step(batch.to(where), 0)
        if result:
            result["loss"].backward()
            optimizer.step()
            optimizer.zero_grad()
            result["loss"].item()  # waits for the device
        seconds.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        if len(seconds) > 4 and sum(seconds[2:]) > MEASURE_SECONDS:
            break
    warm = sorted(seconds[2:] or seconds)
    step = warm[len(warm) // 2]
    # A validation image costs about a third of a training image.
    epoch = step * (len(data.train) / recipe.batch + len(data.holdout) / recipe.batch / 3)
    left = minutes * 60 * RESERVE - (time.perf_counter() - started)
    del loader, optimizer, module
    torch.cuda.empty_cache() if where.type == "cuda" else None
    return replace(recipe, epochs=max(1, math.floor(left / epoch)))
