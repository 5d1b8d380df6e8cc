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

from compound.kernels import MAPS, gpu, serves
from compound.kernels import gate as gate_kernel
from compound.kernels import norm_act as kernel
from compound.nn.depthwise import Geometry, convolution_backward

aten = torch.ops.aten


class TensorSource(NamedTuple):
    """How to compute a tensor again: `compute(*leaves)`. The function itself holds no tensor."""

    compute: Callable[..., Tensor]
    leaves: tuple[Tensor, ...]


def source_of(x: Tensor) -> TensorSource | None:
    return getattr(x, "source", None)


def with_source(x: Tensor, source: TensorSource) -> Tensor:
    x.source = source  # type: ignore[attr-defined]  # a tensor takes attributes
    return x


def forget_source(x: Tensor | None) -> None:
    """From here on x is kept as it stands by whoever needs it."""
    if x is not None and source_of(x) is not None:
        del x.source  # type: ignore[attr-defined]  # a tensor takes attributes


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
    """What a batch norm that trains and its activation put out, from the norm's input and the batch's statistics.

    It is held from first to last use in a backward pass; the norm itself comes last, for whatever reads its output has
    its gradient before.
    """

    def __init__(self, eps: float, act: type[nn.Module] | None) -> None:
        self.eps, self.act = eps, act
        self.held: Tensor | None = None

    def statistics(self, x: Tensor, running: tuple[Tensor, Tensor], momentum: float) -> tuple[Tensor, Tensor]:
        """Mean and variance of the batch, which enter the `running` ones."""
        found: tuple[Tensor, Tensor] = aten.batch_norm_update_stats(x, *running, momentum)
        return found

    def first(self, *leaves: Tensor) -> Tensor:
        """The output, as `again` computes it to the last bit."""
        z = self._normalised(*leaves)
        return POINTWISE[self.act].forward(z, inplace=True) if self.act else z

    def again(self, *leaves: Tensor) -> Tensor:
        if self.held is None:
            self.held = self._normalised(*leaves)
        return POINTWISE[self.act].forward(self.held) if self.act else self.held

    def backward(self, gradient: Tensor, leaves: tuple[Tensor, ...], wanted: list[bool]) -> tuple[Tensor | None, ...]:
        """Gradients of the norm's input, weight and bias."""
        x, mean, variance, weight, _bias = leaves
        if self.act:
            z = self._normalised(*leaves) if self.held is None else self.held
            gradient = POINTWISE[self.act].backward(gradient, z, z)
        self.held, inverse = None, torch.rsqrt(variance + self.eps)
        found: tuple[Tensor | None, ...] = aten.native_batch_norm_backward(
            gradient, x, weight, None, None, mean, inverse, True, self.eps, wanted
        )
        return found

    def _normalised(self, *leaves: Tensor) -> Tensor:
        x, mean, variance, weight, bias = leaves
        return F.batch_norm(x, mean, variance, weight, bias, training=False, eps=self.eps)


class Fused(Normalised):
    """The same by kernels that compute norm and activation in one, so that what is held is the output."""

    def again(self, *leaves: Tensor) -> Tensor:
        if self.held is None:
            self.held = self.first(*leaves)
        return self.held


class InKernels(Fused):
    """By those for the processor."""

    def statistics(self, x: Tensor, running: tuple[Tensor, Tensor], momentum: float) -> tuple[Tensor, Tensor]:
        mean, variance = kernel.statistics(x)
        rows = x.numel() // x.shape[1]
        running[0].lerp_(mean, momentum)
        running[1].lerp_(variance * (rows / (rows - 1)), momentum)
        return mean, variance

    def first(self, *leaves: Tensor) -> Tensor:
        return kernel.apply(leaves[0], self._folded(*leaves), self.act)

    def backward(self, gradient: Tensor, leaves: tuple[Tensor, ...], wanted: list[bool]) -> tuple[Tensor | None, ...]:
        self.held = None
        return kernel.backward(gradient, leaves[0], self._folded(*leaves), self.act, wanted[0])

    def _folded(self, *leaves: Tensor) -> kernel.FoldedNorm:
        _, mean, variance, weight, bias = leaves
        return kernel.fold(mean, variance, weight, bias, self.eps)


class OnGpu(Fused):
    """By those in Triton."""

    def statistics(self, x: Tensor, running: tuple[Tensor, Tensor], momentum: float) -> tuple[Tensor, Tensor]:
        from compound.kernels.gpu import norm_act as room

        found: tuple[Tensor, Tensor] = room.statistics(x, *running, momentum)
        return found

    def first(self, *leaves: Tensor) -> Tensor:
        from compound.kernels.gpu import norm_act as room

        y: Tensor = room.apply(*leaves, self.eps, kernel.ACTIVATIONS[self.act])
        return y

    def backward(self, gradient: Tensor, leaves: tuple[Tensor, ...], wanted: list[bool]) -> tuple[Tensor | None, ...]:
        from compound.kernels.gpu import norm_act as room

        self.held = None
        found: tuple[Tensor, ...] = room.backward(gradient, *leaves, self.eps, kernel.ACTIVATIONS[self.act])
        return found


def way_of(norm: nn.BatchNorm2d, x: Tensor) -> type[Normalised]:
    """Who computes a norm that trains."""
    own = [norm.weight, norm.bias, *(each for each in (norm.running_mean, norm.running_var) if each is not None)]
    if not x.is_contiguous(memory_format=torch.channels_last):
        return Normalised
    if gpu.serves(*own) and gpu.serves(x, kinds=gpu.MAPS):
        return OnGpu
    return InKernels if serves(*own) and serves(x, kinds=tuple(MAPS)) else Normalised


def norm_act(norm: nn.BatchNorm2d, act: type[nn.Module] | None, x: Tensor) -> Tensor:
    """act(norm(x)) of a batch norm that trains, with its source."""
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
    running = cast(tuple[Tensor, Tensor], (norm.running_mean, norm.running_var))
    normalised = way_of(norm, x)(norm.eps, act)
    y, mean, variance = NormAct.apply(x, norm.weight, norm.bias, *running, norm.momentum, normalised)
    if not y.requires_grad:  # nobody would come last
        return cast(Tensor, y)
    return with_source(y, TensorSource(normalised.again, (x, mean, variance, norm.weight, norm.bias)))


class NormAct(Function):
    """Batch norm and an activation, of which only the input is kept; gives the batch's mean and variance as well."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, running_mean: Tensor, running_var: Tensor,
        momentum: float, normalised: Normalised,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        mean, variance = normalised.statistics(x, (running_mean, running_var), momentum)
        ctx.save_for_backward(x, mean, variance, weight, bias)
        ctx.normalised = normalised
        ctx.mark_non_differentiable(mean, variance)
        return normalised.first(x, mean, variance, weight, bias), mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        found = ctx.normalised.backward(gradient, ctx.saved_tensors, ctx.needs_input_grad[:3])
        return *found, *[None] * 4


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
    return with_source(y, TensorSource(partial(_gated, source.compute), (gate, *source.leaves)))


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
        x, rest = ctx.compute(*leaves), [None] * (1 + ctx.count)
        if x.dtype == gradient.dtype == gate.dtype and serves(x, gradient, gate, kinds=tuple(MAPS)):
            return *gate_kernel.backward(gradient, x, gate), *rest
        return gradient * gate, (x * gradient).sum((2, 3), keepdim=True), *rest


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
