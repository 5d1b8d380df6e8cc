"""The gradient of a convolution's weights, where a library's own way is slow: depthwise 5×5 on a processor."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from compound import kernels
from compound.kernels import depthwise as kernel

backward = torch.ops.aten.convolution_backward


class Geometry(NamedTuple):
    """What a convolution is called with besides its input, weights and bias."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int


# oneDNN has a kernel of its own for the weights of a depthwise 3×3 and none for 5×5, which goes through as groups that
# are each filled up to 16 channels. Our own is ten times as fast. Where it was not built, the four copies of
# `from_quarters` cost less than that up to this many positions of the output.
MOST_POSITIONS = 200


def convolution_backward(
    gradient: Tensor, x: Tensor, weight: Tensor, geometry: Geometry, wanted: tuple[bool, bool, bool]
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Gradients of input, weights and bias, as far as they are wanted."""
    biases = [len(weight)] if wanted[2] else None
    stride, padding, dilation, groups = geometry

    def of(mask: tuple[bool, bool, bool]) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        rest = stride, padding, dilation, False, [0, 0], groups, mask
        found: tuple[Tensor | None, Tensor | None, Tensor | None] = backward(gradient, x, weight, biases, *rest)
        return found

    side = slow_side(gradient, weight, geometry) if wanted[1] else None
    by_kernel = side is not None and kernels.serves(gradient, x)
    if not (by_kernel or (side == 5 and gradient.shape[-2:].numel() <= MOST_POSITIONS)):
        return of(wanted)
    to_x, _, to_bias = of((wanted[0], False, wanted[2])) if wanted[0] or wanted[2] else (None, None, None)
    if side is not None and by_kernel:
        return to_x, kernel.weight_gradient(gradient, x, side, stride, padding), to_bias
    return to_x, from_quarters(gradient, x, weight, geometry), to_bias


def slow_side(gradient: Tensor, weight: Tensor, geometry: Geometry) -> int | None:
    """The side of depthwise windows whose weights' gradient oneDNN has no kernel for, 5 or 7; else None."""
    depthwise = geometry.groups == len(weight) and weight.shape[1] == 1 and set(geometry.dilation) == {1}
    on_processor = gradient.device.type == "cpu" and gradient.dtype == torch.float32
    side = weight.shape[-1]
    return side if depthwise and on_processor and tuple(weight.shape[2:]) in ((5, 5), (7, 7)) else None


def from_quarters(gradient: Tensor, x: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    """The gradient of 5×5 weights (C, 1, 5, 5) as that of four 3×3 windows on shifted maps.

    They are rows and columns 0–2 and 2–4; the middle row and column belong to two windows, which agree.
    """
    (down, along), (above, left) = geometry.stride, geometry.padding
    rows, columns = ((n - 1) * s + 3 for n, s in zip(gradient.shape[-2:], geometry.stride, strict=True))
    height, width = x.shape[-2:]
    found = torch.empty_like(weight)
    for i in (0, 2):
        for j in (0, 2):
            # Zeros around the map, or fewer of its rows and columns, so that the window begins in its corner.
            sides = left - j, columns + j - left - width, above - i, rows + i - above - height
            window = weight[:, :, i : i + 3, j : j + 3].contiguous(memory_format=torch.contiguous_format)
            rest = (down, along), (0, 0), (1, 1), False, [0, 0], geometry.groups, (False, True, False)
            found[:, :, i : i + 3, j : j + 3] = backward(gradient, F.pad(x, sides), window, None, *rest)[1]
    return found
