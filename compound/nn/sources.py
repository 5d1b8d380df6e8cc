"""Operations that keep less for the backward pass: a tensor that follows from what is kept anyway is computed again.

A norm keeps its input. Its output, the activation's behind it, and that times a gate follow from it with a few
operations a number; so the convolution that reads one of them need not keep it. What a tensor can be computed from
travels with it as its `source`. Operations that know nothing of sources make tensors without one, kept as ever.

Maps are (N, C, H, W).
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from compound.nn.depthwise import Geometry, convolution_backward

aten = torch.ops.aten


class Source(NamedTuple):
    """How to compute a tensor again: `compute(*leaves)`. The function itself holds no tensor."""

    compute: Callable[..., Tensor]
    leaves: tuple[Tensor, ...]


def source_of(x: Tensor) -> Source | None:
    return getattr(x, "source", None)


def with_source(x: Tensor, source: Source) -> Tensor:
    x.source = source  # type: ignore[attr-defined]
    return x


def forget_source(x: Tensor) -> None:
    """From here on x is kept as it stands by whoever needs it."""
    if source_of(x) is not None:
        del x.source  # type: ignore[attr-defined]


class Pointwise(NamedTuple):
    """An activation in place, and the gradient of its input z from its output's: `backward(gradient, z)`."""

    forward: Callable[[Tensor], Tensor]
    backward: Callable[[Tensor, Tensor], Tensor]


# Activations that are cheap to compute again. Others (gelu, tanh) keep what they are given.
POINTWISE: dict[type[nn.Module], Pointwise] = {
    nn.Identity: Pointwise(lambda z: z, lambda g, z: g),
    nn.ReLU: Pointwise(torch.relu_, lambda g, z: aten.threshold_backward(g, z, 0)),
    nn.ReLU6: Pointwise(partial(F.relu6, inplace=True), lambda g, z: aten.hardtanh_backward(g, z, 0, 6)),
    nn.SiLU: Pointwise(partial(F.silu, inplace=True), aten.silu_backward),
    nn.Hardswish: Pointwise(partial(F.hardswish, inplace=True), aten.hardswish_backward),
}


def norm_act(norm: nn.BatchNorm2d, act: type[nn.Module], x: Tensor) -> Tensor:
    """act(norm(x)) of a batch norm that trains, with its source."""
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
    running = norm.running_mean, norm.running_var, norm.momentum
    y, mean, variance = NormAct.apply(x, norm.weight, norm.bias, *running, norm.eps, act)
    leaves = x, mean, variance, norm.weight, norm.bias
    return with_source(y, Source(partial(_activated, act, norm.eps), leaves))


def _activated(act: type[nn.Module], eps: float, *leaves: Tensor) -> Tensor:
    return POINTWISE[act].forward(_normalised(eps, *leaves))


def _normalised(eps: float, x: Tensor, mean: Tensor, variance: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.batch_norm(x, mean, variance, weight, bias, training=False, eps=eps)


class NormAct(Function):
    """Batch norm and an activation, of which only the input is kept; gives the batch's mean and variance as well."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, running_mean: Tensor, running_var: Tensor,
        momentum: float, eps: float, act: type[nn.Module],
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        y, mean, inverse = torch.native_batch_norm(x, weight, bias, running_mean, running_var, True, momentum, eps)
        variance = inverse.pow(-2) - eps  # `inverse` is 1 / √(variance + ε)
        ctx.save_for_backward(x, mean, variance, weight, bias, inverse)
        ctx.eps, ctx.act = eps, act
        ctx.mark_non_differentiable(mean, variance)
        return POINTWISE[act].forward(y), mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        *leaves, inverse = ctx.saved_tensors
        x, mean, _variance, weight, _bias = leaves
        if ctx.act is not nn.Identity:
            gradient = POINTWISE[ctx.act].backward(gradient, _normalised(ctx.eps, *leaves))
        wanted = ctx.needs_input_grad[:3]
        found = aten.native_batch_norm_backward(
            gradient, x, weight, None, None, mean, inverse, True, ctx.eps, wanted
        )  # fmt: skip
        return *found, *[None] * 5


def convolve(
    x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry, uneven: tuple[int, ...] | None = None
) -> Tensor:
    """The convolution of an x that has a source; `uneven` zeros left, right, above and below come first."""
    source = source_of(x)
    assert source is not None
    out: Tensor = Convolution.apply(x, weight, bias, geometry, uneven, source.compute, *source.leaves)
    return out


class Convolution(Function):
    """A convolution that keeps the source of its input."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry, uneven: tuple[int, ...] | None,
        compute: Callable[..., Tensor], *leaves: Tensor,
    ) -> Tensor:  # fmt: skip
        ctx.save_for_backward(weight, *leaves)
        ctx.geometry, ctx.uneven, ctx.compute, ctx.count = geometry, uneven, compute, len(leaves)
        return F.conv2d(x if uneven is None else F.pad(x, uneven), weight, bias, *geometry)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        weight, *leaves = ctx.saved_tensors
        x = ctx.compute(*leaves)
        if ctx.uneven is not None:
            x = F.pad(x, ctx.uneven)
        to_x, to_weight, to_bias = convolution_backward(gradient, x, weight, ctx.geometry, ctx.needs_input_grad[:3])
        if ctx.uneven is not None and to_x is not None:
            to_x = F.pad(to_x, [-zeros for zeros in ctx.uneven])
        return to_x, to_weight, to_bias, *[None] * (3 + ctx.count)


def gated(x: Tensor, gate: Tensor) -> Tensor:
    """x · gate for a gate of (N, C, 1, 1); of an x with a source, the product is not kept either."""
    source = source_of(x)
    if source is None:
        return x * gate
    y = Gated.apply(x, gate, source.compute, *source.leaves)
    return with_source(y, Source(partial(_gated, source.compute), (gate, *source.leaves)))


def _gated(compute: Callable[..., Tensor], gate: Tensor, *leaves: Tensor) -> Tensor:
    return compute(*leaves).mul_(gate)


class Gated(Function):
    """x · gate that keeps the gate and the source of x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gate: Tensor, compute: Callable[..., Tensor], *leaves: Tensor) -> Tensor:
        ctx.save_for_backward(gate, *leaves)
        ctx.compute, ctx.count = compute, len(leaves)
        return x * gate

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        gate, *leaves = ctx.saved_tensors
        to_gate = ctx.compute(*leaves).mul_(gradient).sum((2, 3), keepdim=True)
        return gradient * gate, to_gate, *[None] * (1 + ctx.count)
