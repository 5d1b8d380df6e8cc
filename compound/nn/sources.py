"""Operations that keep less for the backward pass: a tensor that follows from what is kept anyway is computed again.

A norm keeps its input. Its output, the activation's behind it, and that times a gate follow from it with a few
operations a number; so the convolution that reads one of them need not keep it. What a tensor can be computed from
travels with it as its `source`. Operations that know nothing of sources make tensors without one, kept as ever.

Maps are (N, C, H, W).
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, cast

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


def forget_source(x: Tensor | None) -> None:
    """From here on x is kept as it stands by whoever needs it."""
    if x is not None and source_of(x) is not None:
        del x.source  # type: ignore[attr-defined]


class Pointwise(NamedTuple):
    """An activation of z, and its gradient: `backward(gradient, z, out)` is written to `out`, which may be z itself."""

    forward: Callable[..., Tensor]
    backward: Callable[..., Tensor]


# Activations that are cheap to compute again. Others (gelu, tanh) keep what they are given.
POINTWISE: dict[type[nn.Module], Pointwise] = {
    nn.ReLU: Pointwise(F.relu, lambda g, z, out: aten.threshold_backward.grad_input(g, z, 0, grad_input=out)),
    nn.ReLU6: Pointwise(F.relu6, lambda g, z, out: aten.hardtanh_backward.grad_input(g, z, 0, 6, grad_input=out)),
    nn.SiLU: Pointwise(F.silu, lambda g, z, out: aten.silu_backward.grad_input(g, z, grad_input=out)),
    nn.Hardswish: Pointwise(F.hardswish, lambda g, z, out: aten.hardswish_backward.out(g, z, out=out)),
}


class Normalised:
    """A norm's output from its input and the batch's statistics; held from first to last use in a backward pass.

    The norm itself comes last, for whatever reads its output has its gradient before.
    """

    def __init__(self, eps: float) -> None:
        self.eps = eps
        self.held: Tensor | None = None

    def of(self, *leaves: Tensor) -> Tensor:
        x, mean, variance, weight, bias = leaves
        return F.batch_norm(x, mean, variance, weight, bias, training=False, eps=self.eps)

    def again(self, *leaves: Tensor) -> Tensor:
        if self.held is None:
            self.held = self.of(*leaves)
        return self.held

    def last(self, *leaves: Tensor) -> Tensor:
        z, self.held = self.again(*leaves), None
        return z


def norm_act(norm: nn.BatchNorm2d, act: type[nn.Module] | None, x: Tensor) -> Tensor:
    """act(norm(x)) of a batch norm that trains, with its source."""
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
    normalised = Normalised(norm.eps)
    y, mean, variance = NormAct.apply(
        x, norm.weight, norm.bias, norm.running_mean, norm.running_var, norm.momentum, act, normalised
    )
    if not y.requires_grad:  # nobody would come last
        return cast(Tensor, y)
    return with_source(y, Source(partial(_activated, act, normalised), (x, mean, variance, norm.weight, norm.bias)))


def _activated(act: type[nn.Module] | None, normalised: Normalised, *leaves: Tensor) -> Tensor:
    z = normalised.again(*leaves)
    return POINTWISE[act].forward(z) if act else z


class NormAct(Function):
    """Batch norm and an activation, of which only the input is kept; gives the batch's mean and variance as well."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, running_mean: Tensor, running_var: Tensor,
        momentum: float, act: type[nn.Module] | None, normalised: Normalised,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        mean, variance = aten.batch_norm_update_stats(x, running_mean, running_var, momentum)
        ctx.save_for_backward(x, mean, variance, weight, bias)
        ctx.act, ctx.normalised = act, normalised
        ctx.mark_non_differentiable(mean, variance)
        z = normalised.of(x, mean, variance, weight, bias)  # as it will be again, to the last bit
        return POINTWISE[act].forward(z, inplace=True) if act else z, mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, mean, variance, weight, _bias = leaves = ctx.saved_tensors
        if ctx.act:
            z = ctx.normalised.last(*leaves)
            gradient = POINTWISE[ctx.act].backward(gradient, z, z)
        ctx.normalised.held = None
        inverse, eps = torch.rsqrt(variance + ctx.normalised.eps), ctx.normalised.eps
        found = aten.native_batch_norm_backward(
            gradient, x, weight, None, None, mean, inverse, True, eps, ctx.needs_input_grad[:3]
        )
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
    return compute(*leaves) * gate


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
        to_gate = (ctx.compute(*leaves) * gradient).sum((2, 3), keepdim=True)
        return gradient * gate, to_gate, *[None] * (1 + ctx.count)


class Pooled(Function):
    """The mean over all positions, (N, C, H, W) -> (N, C, 1, 1); its gradient is not spread out in memory."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.shape = x.shape
        return x.mean((2, 3), keepdim=True)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        spread: Tensor = (gradient / ctx.shape[-2:].numel()).expand(ctx.shape)
        return spread
