"""The gradient of a depthwise convolution's weights: see depthwise.c."""

import ctypes

import torch
from torch import Tensor

from compound.kernels import call, innermost, pointer

KERNELS = (3, 5, 7)


def weight_gradient(
    gradient: Tensor, x: Tensor, kernel: int, stride: tuple[int, ...], padding: tuple[int, ...]
) -> Tensor:
    """(C, 1, kernel, kernel) in float32, from maps (N, C, H, W) in float32 or bfloat16.

    Stride and padding are of rows and columns.
    """
    assert kernel in KERNELS
    x, gradient = innermost(x), innermost(gradient)
    found = x.new_empty(x.shape[1], 1, kernel, kernel, dtype=torch.float32)
    extents = (ctypes.c_size_t * 6)(*x.shape, *gradient.shape[-2:])
    geometry = (ctypes.c_int * 5)(kernel, *stride, *padding)
    call("compound_depthwise_weight", x, pointer(x), pointer(gradient), extents, geometry, pointer(found))
    return found
