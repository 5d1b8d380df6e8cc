"""Whether a network that was read computes what the module does: on images of several sizes and magnitudes."""

import copy
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

TOLERANCE = 1e-4  # of the largest logit, in fp32
MORE = (1, 2, 4, 8, 16)  # px: a map of every halving is once odd and once even
LARGE = 224  # px: what networks for photographs are used at, whatever the example is


def drawn(channels: int, size: int) -> Tensor:
    """Two images, (2, channels, size, size): one of ordinary numbers, one of numbers a hundred times as large."""
    images = torch.randn(2, channels, size, size, generator=torch.Generator().manual_seed(0))
    return images * torch.tensor((1.0, 100.0)).view(2, 1, 1, 1)


@torch.inference_mode()
def differing(built: nn.Module, model: nn.Module, images: Callable[[int], Tensor], size: int) -> dict[int, float]:
    """The sizes in px at which the two give other logits, and by which share of the largest one.

    Looked at are `size`, larger ones, of small ones also twice `size` and `LARGE`, and half of it. Sizes that the
    module itself refuses tell nothing. What differs is compared in double precision too, in which rounding no longer
    shows.
    """
    wrong = {}
    larger = (2 * size, LARGE) if 2 * size <= LARGE else ()
    for px in dict.fromkeys((size, *(size + more for more in MORE), *larger, size // 2)):
        error = difference(built, model, images(px))
        if error is not None and not error < TOLERANCE:
            wrong[px] = error
    if wrong and max(wrong.values()) < math.inf and next(model.parameters()).dtype == torch.float32:
        found = in_double(built, model, images, tuple(wrong))
        wrong = {px: error for px, error in found.items() if not error < TOLERANCE} if found else wrong
    return wrong


def difference(built: nn.Module, model: nn.Module, x: Tensor) -> float | None:
    """The largest difference of an image's logits as a share of its largest; None where the module refuses `x`."""
    try:
        theirs = model(x)
    except (RuntimeError, ValueError, AssertionError):
        return None
    try:
        ours = built(x)
    except (RuntimeError, ValueError):
        return math.inf
    errors: Tensor = (ours - theirs).abs().amax(1) / theirs.abs().amax(1).clamp_min(1e-6)
    return float(errors.max())


def in_double(
    built: nn.Module, model: nn.Module, images: Callable[[int], Tensor], sizes: tuple[int, ...]
) -> dict[int, float]:
    """The differences in double precision; empty where the module cannot be copied or computes in single only."""
    try:
        ours, theirs = copy.deepcopy(built).double(), copy.deepcopy(model).double()
    except (RuntimeError, TypeError, ValueError):
        return {}
    found = {px: difference(ours, theirs, images(px).double()) for px in sizes}
    return {} if None in found.values() else {px: error for px, error in found.items() if error is not None}
