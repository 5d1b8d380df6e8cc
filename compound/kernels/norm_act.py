"""Batch norm with its activation, each way in two passes over a map: see norm_act.c.

Maps are (N, C, H, W) in float32 or bfloat16 with channels innermost in memory; weights, biases, means and variances
are (C,) in float32.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from compound.kernels import call, innermost, pointer, size

ACTIVATIONS: dict[type[nn.Module] | None, int] = {None: 0, nn.ReLU: 1, nn.ReLU6: 2, nn.SiLU: 3, nn.Hardswish: 4}


def statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance (of n) of each channel."""
    mean, variance = (x.new_empty(x.shape[1], dtype=torch.float32) for _ in range(2))
    call("compound_norm_statistics", x, pointer(x), *_extent(x), pointer(mean), pointer(variance))
    return mean, variance


class FoldedNorm(NamedTuple):
    """A norm with the statistics of a batch, z = a·x + b; `inverse` is 1 / √(variance + ε). All are (C,)."""

    a: Tensor
    b: Tensor
    mean: Tensor
    inverse: Tensor


def fold(mean: Tensor, variance: Tensor, weight: Tensor, bias: Tensor, eps: float) -> FoldedNorm:
    inverse = torch.rsqrt(variance + eps)
    a = weight * inverse
    return FoldedNorm(a, torch.addcmul(bias, mean, a, value=-1), mean, inverse)


def apply(x: Tensor, norm: FoldedNorm, act: type[nn.Module] | None) -> Tensor:
    """act(a·x + b)."""
    y = torch.empty_like(x)
    given = pointer(x), *_extent(x), pointer(norm.a), pointer(norm.b)
    call("compound_norm_apply", x, *given, ACTIVATIONS[act], pointer(y))
    return y


def backward(
    gradient: Tensor, x: Tensor, norm: FoldedNorm, act: type[nn.Module] | None, wants_x: bool = True
) -> tuple[Tensor | None, Tensor, Tensor]:
    """Gradients of x (if it is wanted), weight and bias, from that of act(norm(x))."""
    gradient = innermost(gradient)
    to_x = torch.empty_like(x) if wants_x else None
    to_weight, to_bias = torch.empty_like(norm.mean), torch.empty_like(norm.mean)
    found = map(pointer, (to_x, to_weight, to_bias))
    given = pointer(gradient), pointer(x), *_extent(x), *map(pointer, norm)
    call("compound_norm_backward", x, *given, ACTIVATIONS[act], *found)
    return to_x, to_weight, to_bias


def _extent(x: Tensor) -> tuple[object, object]:
    """Rows (positions of all images) and channels."""
    return size(x.numel() // x.shape[1]), size(x.shape[1])
