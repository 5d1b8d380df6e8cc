"""The gradient of a convolution's weights, where a library's own way is slow: depthwise 5×5 on a processor."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from compound import kernels
from compound.kernels import depthwise as kernel
from compound.kernels import gpu

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

    if on_gpu(gradient, x, weight, geometry):
        return _in_triton(gradient, x, weight, geometry, wanted)
    if not goes_another_way(gradient, x, weight, geometry, wanted):
        return of(wanted)
    if gradient.dtype == torch.bfloat16:
        return _through_fp32(gradient, x, weight, geometry, wanted)
    to_x, _, to_bias = of((wanted[0], False, wanted[2])) if wanted[0] or wanted[2] else (None, None, None)
    side = weight.shape[-1]
    if kernels.serves(gradient, x):
        return to_x, kernel.weight_gradient(gradient, x, side, stride, padding), to_bias
    return to_x, from_quarters(gradient, x, weight, geometry), to_bias


def on_gpu(gradient: Tensor, x: Tensor, weight: Tensor, geometry: Geometry) -> bool:
    """Whether kernels in Triton compute these gradients."""
    square = weight.shape[-1] == weight.shape[-2] and weight.shape[-1] in kernel.KERNELS
    return square and is_depthwise(weight, geometry) and gpu.serves(gradient, x, kinds=gpu.MAPS)


def is_depthwise(weight: Tensor, geometry: Geometry) -> bool:
    """Whether each channel has its own filter, of positions side by side."""
    return geometry.groups == len(weight) and weight.shape[1] == 1 and set(geometry.dilation) == {1}


def _in_triton(
    gradient: Tensor, x: Tensor, weight: Tensor, geometry: Geometry, wanted: tuple[bool, bool, bool]
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    from compound.kernels.gpu import depthwise as room

    how = list(geometry.stride), list(geometry.padding)
    to_x = room.to_map(gradient, x, weight, *how) if wanted[0] else None
    to_weight = room.to_weight(gradient, x, weight.shape[-1], *how).to(weight.dtype) if wanted[1] else None
    return to_x, to_weight, gradient.sum((0, 2, 3)) if wanted[2] else None


def _through_fp32(
    gradient: Tensor, x: Tensor, weight: Tensor, geometry: Geometry, wanted: tuple[bool, bool, bool]
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """The gradients of a depthwise convolution in bfloat16, computed in float32.

    oneDNN takes a hundred times as long for them where windows move by more than one or are larger than 3×3. Our own
    kernel reads bfloat16 as it is.
    """
    side, to_weight = weight.shape[-1], None
    square = weight.shape[-2] == side and side in kernel.KERNELS
    if wanted[1] and square and kernels.serves(gradient, x, kinds=(torch.bfloat16,)):
        to_weight = kernel.weight_gradient(gradient, x, side, geometry.stride, geometry.padding).to(weight.dtype)
        wanted = wanted[0], False, wanted[2]
    if not any(wanted):
        return None, to_weight, None
    again = x.float() if wanted[1] else torch.empty_like(x, dtype=torch.float32)  # only its shape is asked for
    found = convolution_backward(gradient.float(), again, weight.float(), geometry, wanted)
    to_x, other, to_bias = (None if one is None else one.to(x.dtype) for one in found)
    return to_x, other if to_weight is None else to_weight, to_bias


def goes_another_way(
    gradient: Tensor, x: Tensor, weight: Tensor, geometry: Geometry, wanted: tuple[bool, bool, bool]
) -> bool:
    """Whether `convolution_backward` computes these gradients otherwise than torch does."""
    if not is_depthwise(weight, geometry) or gradient.device.type != "cpu":
        return False
    if gradient.dtype == torch.bfloat16:
        return wanted[0] or wanted[1]
    side = weight.shape[-1] if tuple(weight.shape[2:]) in ((5, 5), (7, 7)) else None
    by_quarters = side == 5 and gradient.shape[-2:].numel() <= MOST_POSITIONS
    served = by_quarters or (side is not None and kernels.serves(gradient, x))
    return wanted[1] and gradient.dtype == torch.float32 and served


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
