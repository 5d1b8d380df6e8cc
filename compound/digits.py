"""Smaller batches that give the digits of a whole chunk, so that a lone image need not be computed as one.

Libraries sum in another order where a batch has another size, but not at all sizes, and mostly in what is small: linear
layers and gates, whose rows are images. Those are filled up to `ROWS` rows, which costs little, and convolutions of few
images take the way of larger batches; then sizes are tried on images that leave no digit to chance. Which kernel runs
follows from shapes and the number of threads alone, so what is equal on these images is equal on all.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from compound import __version__
from compound.kept import keep, kept
from compound.machine import processor
from compound.nn.build import ConvNet
from compound.nn.modules import Gate, StandardisedConv2d
from compound.nn.stored import digest
from compound.notation import dump_network
from compound.runtimes.packed import PackedConv

WAYS = 2  # counted up when what `SameKernels` does changes, so that older answers are not taken for its own
LONG = 32  # products in a sum, up to which both ways of a convolution were found to give the same digits
# Images for which a linear layer is a product of matrices to every library, in whole vectors; and from which on torch
# gives every convolution to oneDNN.
ROWS = 16
SMALL = 20480  # numbers of one image's map up to which torch computes it in a loop of its own


class SameKernels:
    """What a model computes of pooled maps, (N, C, 1, 1), is computed of N rounded up to `ROWS`, with zeros.

    Convolutions of few images, which torch sends to a loop of its own where the map is small or there is one thread, go
    to oneDNN as those of many do. The model's weights and layers must stay what they are.
    """

    def __init__(self, model: nn.Module) -> None:
        rooms = [module.gate for module in model.modules() if isinstance(module, Gate)]
        classifier = getattr(model, "classifier", None)
        chains = [*rooms, *([classifier] if isinstance(classifier, nn.Module) else [])]
        pools = [[one for one in chain.modules() if isinstance(one, nn.AdaptiveAvgPool2d)] for chain in chains]
        self.chains = [(chain, found[0]) for chain, found in zip(chains, pools, strict=True) if len(found) == 1]
        self._packed: dict[tuple[nn.Conv2d, int], PackedConv] = {}
        self.convs = [module for module in model.modules() if isinstance(module, nn.Conv2d) and may_be_looped(module)]

    @contextmanager
    def __call__(self, images: int) -> Iterator[None]:
        """Within it, every gate and the classifier fill up what their pool puts out, and cut what they put out."""
        handles = []
        convs = self.convs if images < ROWS else []
        for conv in convs:
            conv.forward = partial(self._by_onednn, conv)  # type: ignore[method-assign]  # of this one alone, while it lasts
        for chain, pool in self.chains:
            handles += [pool.register_forward_hook(filled), chain.register_forward_hook(cut)]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
            for conv in convs:
                del conv.forward

    def _by_onednn(self, conv: nn.Conv2d, x: Tensor) -> Tensor:
        """With its weights laid out once, which for a small map takes as long as the rest."""
        if not is_looped(conv, x):
            plain: Tensor = type(conv).forward(conv, x)
            return plain
        packed = self._packed.get((conv, len(x)))
        if packed is None:
            packed = self._packed[conv, len(x)] = PackedConv(conv, tuple(x.shape))
        result: Tensor = packed(x)
        return result


def may_be_looped(conv: nn.Conv2d) -> bool:
    """Whether torch has a loop of its own for it, at some size, that sums in another order than oneDNN does."""
    usable = conv.weight.device.type == "cpu" and conv.weight.dtype == torch.float32
    usable &= not isinstance(conv, StandardisedConv2d)  # whose weights are made anew for each call
    long = conv.weight[0].numel() > LONG
    return usable and long and (conv.groups == 1 or is_pointwise(conv)) and torch.backends.mkldnn.is_available()


def is_looped(conv: nn.Conv2d, x: Tensor) -> bool:
    """Whether torch computes it of x in a loop of its own; the rule is ConvParams::use_mkldnn in Convolution.cpp."""
    if is_pointwise(conv) and len(x) < ROWS and torch.get_num_threads() == 1:
        return True
    return conv.groups == 1 and min(conv.kernel_size) <= 3 and len(x) == 1 and x.numel() <= SMALL


def is_pointwise(conv: nn.Conv2d) -> bool:
    return conv.kernel_size == (1, 1) and max(conv.stride) == max(conv.dilation) == 1


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


def known_sizes(model: ConvNet, find: Callable[[], tuple[int, ...]]) -> tuple[int, ...]:
    """What `find` finds for the model on this machine, which is kept (`compound.kept`) and asked for once.

    Other weights of the same network are asked for anew: those that are zero, or hardly trained, show no digits.
    """
    told = {
        "sizes": dump_network(model.network), "weights": digest(model.state_dict()), "torch": torch.__version__,
        "compound": __version__, "ways": WAYS, "threads": torch.get_num_threads(),
        "processor": processor(), "vectors": torch.backends.cpu.get_cpu_capability(),
        "settings": sorted(one for one in os.environ.items() if one[0].startswith(("ONEDNN", "DNNL", "MKL"))),
    }  # fmt: skip
    asked = hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()
    known = kept().get(asked)
    if isinstance(known, str) and all(word.isdecimal() for word in known.split()):
        return tuple(map(int, known.split()))
    found = find()
    keep(asked, " ".join(map(str, found)))
    return found


def telling(count: int, image: tuple[int, int, int]) -> Tensor:
    """uint8 (count, C, H, W): noise upon planes of all brightnesses, so that units are alive somewhere or other."""
    generator = torch.Generator().manual_seed(0)
    channels, height, width = image
    noise = torch.randn(count, channels, height, width, generator=generator) * 40
    ramp = torch.linspace(-60, 60, width) * torch.randn(count, channels, 1, 1, generator=generator).sign()
    level = torch.rand(count, channels, 1, 1, generator=generator) * 255
    return (level + ramp + noise).clamp(0, 255).byte()
