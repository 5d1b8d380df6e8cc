"""`lean(model)`: training keeps what convolutions put out, and computes again what norms, activations and gates make.

See `compound.nn.sources`. Parameters, buffers, their names, and what the model gives in evaluation stay the same.
"""

from typing import cast

import torch
from torch import Tensor, nn

from compound.nn.depthwise import Geometry
from compound.nn.modules import SameConv2d
from compound.nn.sources import POINTWISE, Pooled, convolve, norm_act, source_of


def lean(model: nn.Module) -> None:
    """From now on, let the chains of `model` keep less while they train."""
    for module in model.modules():
        if type(module) is nn.Sequential:
            _become(module, LeanChain)


def plain(model: nn.Module) -> None:
    """Undo `lean`."""
    for module in model.modules():
        if type(module) is LeanChain:
            _become(module, nn.Sequential)


def _become(module: nn.Module, kind: type[nn.Sequential]) -> None:
    module.__class__ = kind


class LeanChain(nn.Sequential):
    """A chain in which a norm and the activation behind it are one operation, and convolutions keep sources.

    Only where batch norm trains as usual; everything else runs as in the ordinary chain.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training and torch.is_grad_enabled()):
            return cast(Tensor, super().forward(x))  # type: ignore[no-untyped-call]  # torch's
        modules = list(self)
        while modules:
            module = modules.pop(0)
            if type(module) is nn.BatchNorm2d and trains(module, x):
                act = type(modules.pop(0)) if modules and type(modules[0]) in POINTWISE else None
                x = norm_act(module, act, x)
            elif isinstance(module, nn.Conv2d) and source_of(x) is not None and not recast(x):
                x = convolved(module, x)
            elif isinstance(module, nn.AdaptiveAvgPool2d) and module.output_size == 1:
                x = Pooled.apply(x)
            else:
                x = module(x)
        return x


def trains(norm: nn.BatchNorm2d, x: Tensor) -> bool:
    """Whether a norm uses and records the statistics of x; one that is frozen, or has none, is left to torch."""
    whole = norm.training and norm.affine and norm.running_mean is not None and norm.momentum is not None
    return whole and x.numel() > x.shape[1]


def recast(x: Tensor) -> bool:
    """Whether autocast would convolve x in another precision than it has."""
    kind = x.device.type
    return torch.is_autocast_enabled(kind) and x.dtype != torch.get_autocast_dtype(kind)


def convolved(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """conv(x), keeping the source of x."""
    weight, uneven = conv.weight, None
    padding = cast(tuple[int, ...], conv.padding)  # never by name
    if isinstance(conv, SameConv2d):
        weight, sides = conv.filters(), conv.sides(x)
        if sides[::2] == sides[1::2]:
            padding = sides[2], sides[0]
        else:
            padding, uneven = (0, 0), sides
    bias = None if conv.bias is None else conv.bias.to(x.dtype)
    return convolve(x, weight.to(x.dtype), bias, Geometry(conv.stride, padding, conv.dilation, conv.groups), uneven)
