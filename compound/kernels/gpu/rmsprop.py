"""A step of TensorFlow's RMSProp over all weights at once (see `compound.training.optim.RMSpropTF`).

    g ← gradient + decay_of_weights·w,  s ← ρ·s + (1 − ρ)·g²,  m ← μ·m + rate·g / √(s + ε),  w ← w − m

Weights lie where they lie: a table has the addresses of each tensor's weights, gradients, squares and momenta, and its
size. A program takes a block of one tensor, which it finds by its own number in `places`. Each number is read
four times and written three times; operators one by one read and write it some twenty times.
"""

import numpy as np
import torch
import triton.language as tl
from torch import Tensor

from compound.kernels.gpu import OPTIONS, blocks, kernel

BLOCK = 1024


@kernel
def _update(
    at: tl.tensor, slope: tl.tensor, square: tl.tensor, moment: tl.tensor, n: tl.tensor, there: tl.tensor,
    rate: tl.tensor, decay: tl.tensor, momentum: tl.tensor, eps: tl.tensor, weight_decay: tl.tensor,
) -> None:  # fmt: skip
    """Numbers n of a tensor, or of them those that are `there`; None for all, which are loaded in whole words."""
    w = tl.load(at + n, mask=there)
    g = tl.load(slope + n, mask=there) + weight_decay * w
    s = decay * tl.load(square + n, mask=there) + (1.0 - decay) * g * g
    m = momentum * tl.load(moment + n, mask=there) + rate * g / tl.sqrt(s + eps)
    tl.store(square + n, s, mask=there)
    tl.store(moment + n, m, mask=there)
    tl.store(at + n, w - m, mask=there)


@kernel
def _step(
    table: tl.tensor, places: tl.tensor, rate: tl.tensor, decay: tl.tensor, momentum: tl.tensor, eps: tl.tensor,
    weight_decay: tl.tensor, BLOCK: tl.constexpr,
) -> None:  # fmt: skip
    """`table` (tensors, 5) and `places` (programs, 2: the tensor, and which of its blocks) are int64."""
    row = table + 5 * tl.load(places + 2 * tl.program_id(0))
    first = tl.load(places + 2 * tl.program_id(0) + 1) * BLOCK
    n, count = first + tl.arange(0, BLOCK), tl.load(row + 4)
    kind = tl.pointer_type(tl.float32)
    at = tl.multiple_of(tl.load(row).to(kind), 16)  # as allocators give memory
    slope = tl.multiple_of(tl.load(row + 1).to(kind), 16)
    square = tl.multiple_of(tl.load(row + 2).to(kind), 16)
    moment = tl.multiple_of(tl.load(row + 3).to(kind), 16)
    if first + BLOCK <= count:
        _update(at, slope, square, moment, n, None, rate, decay, momentum, eps, weight_decay)
    else:
        _update(at, slope, square, moment, n, n < count, rate, decay, momentum, eps, weight_decay)


@torch.library.custom_op("compound::rmsprop", mutates_args=("weights", "squares", "momenta"))
def step(
    weights: list[Tensor], gradients: list[Tensor], squares: list[Tensor], momenta: list[Tensor], rate: float,
    decay: float, momentum: float, eps: float, weight_decay: float,
) -> None:  # fmt: skip
    """Change weights, squares and momenta in place; the tensors of a weight lie in memory in the same order."""
    every = [*zip(weights, gradients, squares, momenta, strict=True)]
    table = torch.tensor([[*(t.data_ptr() for t in one), one[0].numel()] for one in every])
    sizes = [one[0].numel() for one in every]
    places = [np.stack([np.full(blocks(n, BLOCK), k), np.arange(blocks(n, BLOCK))], 1) for k, n in enumerate(sizes)]
    device = weights[0].device
    both = [_brought(each, device) for each in (table, torch.from_numpy(np.concatenate(places)))]
    _step[(len(both[1]),)](*both, rate, decay, momentum, eps, weight_decay, BLOCK=BLOCK, **OPTIONS)


@step.register_fake
def _(
    weights: list[Tensor], gradients: list[Tensor], squares: list[Tensor], momenta: list[Tensor], rate: float,
    decay: float, momentum: float, eps: float, weight_decay: float,
) -> None:  # fmt: skip
    return None


def _brought(numbers: Tensor, device: torch.device) -> Tensor:
    """On the device, without waiting for what it is doing."""
    return numbers.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else numbers
