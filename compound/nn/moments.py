"""Norms of a changed network set so that each channel leaves them with the mean and deviation it had before.

N images, C channels
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

LEAST = 1e-3  # of a deviation, and of a scale; below it nothing is learned from what a norm does


class NormPair(NamedTuple):
    """A norm of the network as it was, the one in its place, and which old channel each of its `channels` is."""

    old: nn.BatchNorm2d
    new: nn.BatchNorm2d
    channels: Tensor


@torch.no_grad()
def keep_moments(before: Callable[[], object], after: Callable[[], object], pairs: Sequence[NormPair]) -> None:
    """Set the statistics of the new norms, in order, while `after` runs the new network on what `before` ran the old.

    They are not those of the images: where images are few and unlike those that the norms learned from, such statistics
    would change all that was learned. What was changed before a norm is undone behind it, as far as a scale and a shift
    of each channel can.
    """
    given: dict[nn.Module, tuple[Tensor, Tensor]] = {}

    def note(norm: nn.Module, _: Any, output: Tensor) -> None:
        given[norm] = moments(output)

    def correct(pair: NormPair, norm: nn.BatchNorm2d, inputs: tuple[Tensor, ...]) -> None:
        if pair.old not in given:
            return
        assert norm.running_mean is not None
        assert norm.running_var is not None
        (mean, deviation), (wanted, spread) = moments(inputs[0]), (each[pair.channels] for each in given[pair.old])
        divisor = norm.weight.abs() * deviation / spread.clamp_min(LEAST * LEAST)
        shift = mean - (wanted - norm.bias) * divisor / norm.weight
        known = (spread > LEAST) & (norm.weight.abs() > LEAST) & (deviation > LEAST * spread)
        variance = (divisor.square() - norm.eps).clamp_min(0)
        norm.running_var.copy_(torch.where(known, variance, norm.running_var))
        norm.running_mean.copy_(torch.where(known, shift, norm.running_mean))

    with hooked([pair.old.register_forward_hook(note) for pair in pairs]):
        before()
    with hooked([pair.new.register_forward_pre_hook(partial(correct, pair)) for pair in pairs]):
        after()


@contextmanager
def hooked(handles: Sequence[Any]) -> Iterator[None]:
    with ExitStack() as stack:
        for handle in handles:
            stack.callback(handle.remove)
        yield


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each channel, both (C,)."""
    variance, mean = torch.var_mean(x, (0, 2, 3), correction=0)
    return mean, variance.sqrt()
