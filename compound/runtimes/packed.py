"""Modules for inference on a CPU: oneDNN convolutions with their weights laid out beforehand and the activation inside.

They use what PyTorch's own compiler emits (`torch.ops.mkldnn`), without the compiler.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compound.nn.modules import FUNCTIONS, SameConv2d

# oneDNN's names of the activations that it computes while a convolution's result is still in registers.
FUSED = {
    nn.ReLU: ("relu", []),
    nn.ReLU6: ("hardtanh", [0.0, 6.0]),
    nn.SiLU: ("swish", []),
    nn.Hardswish: ("hardswish", []),
    nn.Sigmoid: ("sigmoid", []),
    nn.Hardsigmoid: ("hardsigmoid", []),
    nn.Tanh: ("tanh", []),
}
SCALARS: dict[str, list[float]] = dict(FUSED.values()) | {"none": []}


class PackedConv(nn.Module):
    """A convolution and its activation in one call. Fastest on inputs of the shape it was packed for, right on all."""

    def __init__(self, conv: nn.Conv2d, shape: tuple[int, ...], activation: nn.Module | None = None) -> None:
        super().__init__()
        self.same = conv if isinstance(conv, SameConv2d) else None  # its padding follows from the input's size
        self.function, _ = FUSED[type(activation)] if activation is not None else ("none", [])
        # Never by name ("same"): our convolutions give numbers.
        self.padding = [] if self.same is not None else [int(zeros) for zeros in conv.padding]
        self.window: tuple[Any, ...] = (list(conv.stride), list(conv.dilation), conv.groups)
        x, padding = self.padded(torch.empty(shape, device="meta"))
        weight = conv.weight.detach().to_mkldnn()
        # Not a buffer: a packed weight can be neither saved nor moved.
        reorder: Any = torch._C._nn.mkldnn_reorder_conv2d_weight  # its stub lacks the shape
        self.weight = reorder(weight, padding, *self.window, list(x.shape))
        self.bias = conv.bias

    def padded(self, x: Tensor) -> tuple[Tensor, list[int]]:
        return (x, self.padding) if self.same is None else self.same.padded(x)

    def forward(self, x: Tensor) -> Tensor:
        x, padding = self.padded(x)
        call = torch.ops.mkldnn._convolution_pointwise.default
        scalars = SCALARS[self.function]
        result: Tensor = call(x, self.weight, self.bias, padding, *self.window, self.function, scalars, "")
        return result

    def plus(self, x: Tensor, other: Tensor, function: str | None) -> Tensor:
        """function(conv(x) + other); only of a convolution without an activation of its own."""
        x, padding = self.padded(x)
        call = torch.ops.mkldnn._convolution_pointwise.binary
        scalars = SCALARS[function or "none"]
        result: Tensor = call(
            x, other, self.weight, self.bias, padding, *self.window, "add", 1.0, function, scalars, ""
        )
        return result


class PackedResidual(nn.Module):
    """function(body(x) + shortcut(x)), the sum inside the body's last convolution."""

    def __init__(self, body: nn.Sequential, shortcut: nn.Module, function: str | None) -> None:
        super().__init__()
        self.body, self.last = body[:-1], body[-1]
        self.shortcut = shortcut
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        assert isinstance(self.last, PackedConv)
        return self.last.plus(self.body(x), self.shortcut(x), self.function)


class MatrixGate(nn.Module):
    """x · gate(x) of a squeeze-and-excitation, whose convolutions of a 1×1 map are products with a matrix.

    `owned` says that nobody else reads x, so that it can be scaled in place.
    """

    def __init__(self, convs: list[nn.Conv2d], functions: list[nn.Module], owned: bool) -> None:
        super().__init__()
        self.matrices = [(conv.weight.detach().flatten(1).contiguous(), conv.bias) for conv in convs]
        self.functions = nn.ModuleList(functions)
        self.owned = owned

    def forward(self, x: Tensor) -> Tensor:
        gate = F.adaptive_avg_pool2d(x, 1).flatten(1)
        for (weight, bias), function in zip(self.matrices, self.functions, strict=True):
            gate = function(F.linear(gate, weight, bias))
        gate = gate[:, :, None, None]
        return x.mul_(gate) if self.owned else x * gate


def in_place(activation: nn.Module) -> nn.Module:
    """The same activation, overwriting its input where torch can: a fresh map costs more than the function."""
    kind = type(activation)
    return kind(inplace=True) if kind in FUNCTIONS.values() and hasattr(activation, "inplace") else activation
