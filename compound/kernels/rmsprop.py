"""A step of RMSProp in one pass over memory: see rmsprop.c."""

import ctypes
from collections.abc import Callable, Iterable
from functools import lru_cache

import torch
from torch import Tensor

from compound.kernels import call, serves, size


def applies(weights: list[Tensor], *others: list[Tensor], among: Callable[..., bool] = serves) -> bool:
    """Whether `among` serves the tensors of each weight, and they lie in memory in the same order."""
    return all(among(*tensors) and _alike(tensors) for tensors in zip(weights, *others, strict=True))


def step(
    weights: list[Tensor],
    gradients: list[Tensor],
    squares: list[Tensor],
    momenta: list[Tensor],
    *,
    settings: tuple[float, float, float, float, float],
) -> None:
    """Change weights, squares and momenta in place; `settings` are rate, decay, momentum, ε and weight decay."""
    every = list(zip(weights, gradients, squares, momenta, strict=True))
    addresses = [number for tensors in every for number in (*(t.data_ptr() for t in tensors), tensors[0].numel())]
    table = (ctypes.c_size_t * len(addresses))(*addresses)
    numbers = (ctypes.c_float * 5)(*settings)
    call("compound_rmsprop", weights[0], table, size(len(every)), numbers)
    torch.autograd.graph.increment_version([*weights, *squares, *momenta])  # as an operator of torch would


def _alike(tensors: Iterable[Tensor]) -> bool:
    orders = {_order(tensor.shape, tensor.stride()) for tensor in tensors}
    return len(orders) == 1 and None not in orders


@lru_cache(maxsize=4096)  # asked for every tensor in every step
def _order(shape: torch.Size, strides: tuple[int, ...]) -> tuple[int, ...] | None:
    """The strides of a tensor without gaps; extents of one have none that matter. None where there are gaps."""
    found = tuple(stride if extent > 1 else 0 for extent, stride in zip(shape, strides, strict=True))
    reach = sum((extent - 1) * stride for extent, stride in zip(shape, found, strict=True))
    return found if reach + 1 == shape.numel() else None
