"""A learning rate and a batch by short sweeps on the real data."""

import math
import os
from dataclasses import replace
from itertools import islice

import numpy as np
import torch

from compound.cost import memory_to_give
from compound.data import DataSet
from compound.errors import CompoundError
from compound.execution import Execution
from compound.network import Network
from compound.training.memory import predicted_bytes
from compound.training.recipe import Recipe
from compound.training.trial import Trial

STEPS = 100  # of the sweep over the rate
LOW, HIGH = 1e-5, 10.0  # its ends, per step
SMOOTHING = 0.9
SHARE = 0.25  # of the rate at which the loss turns; what it was compared with is in docs/decisions
HOPELESS = 3.0  # times the best loss: the sweep is over
FIRST_BATCH, LAST_BATCH = 16, 4096
PAYS = 1.05  # a batch twice as large is taken for this much more speed
BATCH_SECONDS = 1.0


def find_rate(network: Network, data: DataSet, recipe: Recipe, execution: Execution = Execution()) -> float:
    """A peak rate per `rate_batch` images, by a range test (Smith 2017, Section 3.3).

    The rate of a fresh network rises from step to step until its loss no longer falls; a share of the rate at which the
    smoothed loss turns is taken. The steepest fall, which others take, is found among the first noise as often as not.
    """
    precision = "fp32" if recipe.precision == "auto" else recipe.precision
    trial = Trial(network, data, recipe, execution, precision=precision)
    rates: list[float] = []
    losses: list[float] = []
    for rate, batch in zip(np.geomspace(LOW, HIGH, STEPS).tolist(), islice(trial.batches(), STEPS), strict=True):
        loss = trial.step(batch, rate)
        if loss is None:  # a batch of damaged images
            continue
        if not math.isfinite(loss) or (losses and loss > HOPELESS * min(losses)):
            break
        rates.append(rate)
        losses.append(loss)
    if not losses:
        raise CompoundError(
            "no rate can be found: the first loss is NaN or infinite; give --rate, and look at the images"
        )
    return SHARE * turning(rates, losses) * recipe.rate_batch / recipe.batch


def turning(rates: list[float], losses: list[float]) -> float:
    """The rate at which the smoothed losses are lowest."""
    smooth, average = [], 0.0
    for step, loss in enumerate(losses, 1):
        average = SMOOTHING * average + (1 - SMOOTHING) * loss
        smooth.append(average / (1 - SMOOTHING**step))
    return rates[int(np.argmin(smooth))]


def find_batch(network: Network, data: DataSet, recipe: Recipe, execution: Execution = Execution()) -> int:
    """The largest batch, a power of two, that fits the memory and is still worth its size.

    Doubled from `FIRST_BATCH` as long as the predicted memory holds it, an epoch has a step, and more images a second
    go through. The rate scales with the batch.
    """
    precision = "fp32" if recipe.precision == "auto" else recipe.precision
    limit = recipe.training_memory or free_memory(execution.where)
    best, speed = 0, 0.0
    batch = FIRST_BATCH
    while batch <= min(LAST_BATCH, len(data.train)):
        tried = replace(recipe, batch=batch, accumulate=1)
        if best and memory_to_give(predicted_bytes(network, tried)) > limit:
            break
        try:
            trial = Trial(network, data, tried, execution, precision=precision)
            images = batch / trial.seconds(BATCH_SECONDS)
        except torch.OutOfMemoryError:
            break
        if images < PAYS * speed:
            break
        best, speed = batch, images
        batch *= 2
    return best or min(FIRST_BATCH, len(data.train))


def free_memory(where: torch.device) -> float:
    """Bytes that are free on the device, or in the machine where it is the processor."""
    if where.type == "cuda":
        return float(torch.cuda.mem_get_info(where)[0])
    pages = "SC_AVPHYS_PAGES" if "SC_AVPHYS_PAGES" in os.sysconf_names else "SC_PHYS_PAGES"
    return float(os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE"))
