"""The gradient of a depthwise convolution's weights: see depthwise.c."""

import ctypes

import torch
from torch import Tensor

from compound.kernels import innermost, library, pointer

KERNELS = (3, 5, 7)


def weight_gradient(
    gradient: Tensor, x: Tensor, kernel: int, stride: tuple[int, ...], padding: tuple[int, ...]
) -> Tensor:
    """(C, 1, kernel, kernel) from maps (N, C, H, W) in float32; stride and padding are of rows and columns."""
    assert kernel in KERNELS
    x, gradient = innermost(x), innermost(gradient)
    found = x.new_empty(x.shape[1], 1, kernel, kernel)
    extents = (ctypes.c_size_t * 6)(*x.shape, *gradient.shape[-2:])
    geometry = (ctypes.c_int * 5)(kernel, *stride, *padding)
    given = pointer(x), pointer(gradient), extents, geometry, pointer(found), torch.get_num_threads()
    getattr(library(), "compound_depthwise_weight")(*given)  # noqa: B009  # no attribute that types know
    return found
