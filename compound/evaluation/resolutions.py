"""Testing at other resolutions than training: often better, more so with norms that saw them (Touvron et al. 2019)."""

import copy
import math
from collections.abc import Iterator, Sequence

import torch
from torch import nn

from compound.data import Preprocessing, Source, make_loader, subset
from compound.errors import UsageError
from compound.evaluation.judge import evaluate
from compound.evaluation.result import Evaluation
from compound.execution import Execution
from compound.nn import ConvNet, evaluating

IMAGES = 1024  # training images that re-estimate norms; Wu & Johnson 2021 find 10³ enough
NORM_BATCH = 64


LEFT = 0.5  # of what norms began with: with more their statistics are mostly that
LEFT_OF_FAST = math.exp(-10)  # where weights move fast: with more, a norm remembers a tenth of all steps


def saw_little(model: ConvNet, fast: bool = False) -> bool:
    """Whether the training of some batch norm was too short for its statistics to be those of the network as it is now.

    After n steps of momentum m the share (1 − m)ⁿ is left of what it began with: half after 69 steps at 0.01. Weights
    that are learned from nothing (`fast`) also move far in the 1/m steps that a norm remembers, if these are much of
    the training: after 16 steps at 0.1, ResNet-50 had 2 of 44 photos right, and 16 by new statistics.
    """
    most = LEFT_OF_FAST if fast else LEFT
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    counted = [(norm.momentum, int(norm.num_batches_tracked)) for norm in norms if norm.num_batches_tracked is not None]
    return any(momentum is not None and (1 - momentum) ** steps > most for momentum, steps in counted)


def at_resolution(model: ConvNet, resolution: int) -> ConvNet:
    """A copy of `model` that receives images of `resolution` px; the weights are the same."""
    network = model.network.with_(resolution=resolution)
    network.blocks()  # raises NetworkError where maps would vanish
    if network.head.pool > 1:
        raise UsageError(f"{network.name} flattens {network.head.pool}×{network.head.pool} maps; it has one resolution")
    found = copy.deepcopy(model)
    found.network = network
    return found


def recalibrate(model: ConvNet, source: Source, execution: Execution = Execution(), *, seed: int = 0) -> None:
    """Re-estimate every batch norm's statistics on `source`, in place ("precise BN", Wu & Johnson 2021).

    Means and variances of batches of NORM_BATCH images are averaged evenly over IMAGES images or, if there are fewer,
    all; nothing else is learned, and no dropout is active.
    """
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    if not norms:
        raise UsageError(f"{model.network.name} has no batch norm to recalibrate; leave --recalibrate out")
    order = torch.randperm(len(source), generator=torch.Generator().manual_seed(seed))[:IMAGES].numpy()
    preprocessing = Preprocessing.of(model.network)
    where, momenta, chosen = execution.where, [norm.momentum for norm in norms], subset(source, order)
    model.to(where).to(memory_format=torch.channels_last)
    with evaluating(model), torch.no_grad():
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # an even average over the batches
            norm.train()
        for batch in make_loader(chosen, preprocessing, NORM_BATCH, workers=execution.workers_for(chosen)):
            if len(batch) > 1:
                model(preprocessing.normalise(batch.images.to(where)).contiguous(memory_format=torch.channels_last))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def sweep(
    model: ConvNet,
    source: Source,
    classes: tuple[str, ...],
    resolutions: Sequence[int],
    execution: Execution = Execution(),
    *,
    training: Source | None = None,
) -> Iterator[tuple[int, Evaluation]]:
    """`model` at each of `resolutions`; with `training`, batch norms are re-estimated on it each time."""
    nets = [at_resolution(model, resolution) for resolution in resolutions]  # all are possible before one is run
    for resolution, net in zip(resolutions, nets, strict=True):
        if training is not None:
            recalibrate(net, training, execution)
        yield resolution, evaluate(net, source, classes, execution)
