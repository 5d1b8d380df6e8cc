"""Whether a network that was read computes what the module does: on images of several sizes and magnitudes."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

TOLERANCE = 1e-4  # of the largest logit, in fp32
MORE = (1, 2, 4, 8, 16)  # px: a map of every halving is once odd and once even


def drawn(channels: int, size: int) -> Tensor:
    """Two images, (2, channels, size, size): one of ordinary numbers, one of numbers a hundred times as large."""
    images = torch.randn(2, channels, size, size, generator=torch.Generator().manual_seed(0))
    return images * torch.tensor((1.0, 100.0)).view(2, 1, 1, 1)


@torch.inference_mode()
def differing(built: nn.Module, model: nn.Module, images: Callable[[int], Tensor], size: int) -> dict[int, float]:
    """The sizes in px at which the two give other logits, and by which share of the largest one.

    Looked at are `size`, larger ones, and half of it. Sizes that the module itself refuses tell nothing.
    """
    wrong = {}
    for px in dict.fromkeys((size, *(size + more for more in MORE), size // 2)):
        x = images(px)
        try:
            theirs = model(x)
        except (RuntimeError, ValueError, AssertionError):
            continue
        try:
            ours = built(x)
        except (RuntimeError, ValueError):
            wrong[px] = math.inf
            continue
        errors = (ours - theirs).abs().amax(1) / theirs.abs().amax(1).clamp_min(1e-6)
        if not (error := errors.max().item()) < TOLERANCE:
            wrong[px] = error
    return wrong
