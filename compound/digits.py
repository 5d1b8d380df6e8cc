"""Smaller batches that give the digits of a whole chunk, so that a lone image need not be computed as one.

Libraries sum in another order where a batch has another size, but not at all sizes, and mostly in what is small: linear
layers and gates, whose rows are images. Those are filled up to `ROWS` rows, which costs nothing; then sizes are tried
on images that leave no digit to chance. Which kernel runs follows from shapes alone, so what is equal on these images
is equal on all.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from compound.nn.modules import Gate

ROWS = 16  # images for which a linear layer is a product of matrices to every library, in whole vectors


class FilledRows:
    """What a model computes of pooled maps, (N, C, 1, 1), is computed of N rounded up to `ROWS`, with zeros."""

    def __init__(self, model: nn.Module) -> None:
        rooms = [module.gate for module in model.modules() if isinstance(module, Gate)]
        classifier = getattr(model, "classifier", None)
        self.chains = [*rooms, *([classifier] if isinstance(classifier, nn.Module) else [])]

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Within it, every gate and the classifier fill up what their pool puts out, and cut what they put out."""
        handles = []
        for chain in self.chains:
            pools = [module for module in chain.modules() if isinstance(module, nn.AdaptiveAvgPool2d)]
            if len(pools) == 1:
                handles += [pools[0].register_forward_hook(filled), chain.register_forward_hook(cut)]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def filled(_module: nn.Module, _given: tuple[Tensor, ...], pooled: Tensor) -> Tensor:
    missing = -len(pooled) % ROWS
    return torch.cat([pooled, pooled.new_zeros(missing, *pooled.shape[1:])]) if missing else pooled


def cut(_module: nn.Module, given: tuple[Tensor, ...], rows: Tensor) -> Tensor:
    return rows[: len(given[0])]


def equal_sizes(logits: Callable[[Tensor], Tensor], image: tuple[int, int, int], chunk: int) -> tuple[int, ...]:
    """The powers of two up to `chunk` at which `logits` gives an image (C, H, W) the digits of a whole chunk.

    Ascending; `chunk` is always the last. An image's place must change nothing, either. Takes as long as about three
    chunks.
    """
    images = telling(chunk, image)
    whole = logits(images)
    found = []
    size = 1
    while size < chunk:
        parts = (images[:size], whole[:size]), (images[-size:], whole[-size:])
        if all(torch.equal(logits(part), expected) for part, expected in parts):
            found.append(size)
        size *= 2
    return (*found, chunk)


def telling(count: int, image: tuple[int, int, int]) -> Tensor:
    """uint8 (count, C, H, W): noise upon planes of all brightnesses, so that units are alive somewhere or other."""
    generator = torch.Generator().manual_seed(0)
    channels, height, width = image
    noise = torch.randn(count, channels, height, width, generator=generator) * 40
    ramp = torch.linspace(-60, 60, width) * torch.randn(count, channels, 1, 1, generator=generator).sign()
    level = torch.rand(count, channels, 1, 1, generator=generator) * 255
    return (level + ramp + noise).clamp(0, 255).byte()
