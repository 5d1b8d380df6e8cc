"""A network without its norms: in evaluation a norm is an affine map, which the convolution before it takes in."""

import copy
from collections import OrderedDict
from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from compound.nn.lean import plain
from compound.nn.modules import Borrowed, SameConv2d, StandardisedConv2d


def fold(model: nn.Module) -> nn.Module:
    """A copy of `model` in evaluation mode whose norms behind convolutions are folded into them.

    The outputs are the same up to rounding. Chains within chains become one chain, and what does nothing in evaluation
    (dropout, identities) is left out. Norms that stand before an activation and no convolution (DenseNet) stay.
    """
    folded = copy.deepcopy(model).eval().requires_grad_(False)
    plain(folded)
    _fold_children(folded)
    return folded


def _fold_children(module: nn.Module) -> None:
    for name, child in list(module.named_children()):
        _fold_children(child)
        if type(child) is nn.Sequential:
            setattr(module, name, nn.Sequential(OrderedDict(_folded(list(steps(child))))))


def steps(chain: nn.Sequential, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The modules of a chain in order, those of chains within it among them; names joined by an underscore."""
    for name, child in chain.named_children():
        if type(child) is nn.Sequential:
            yield from steps(child, f"{prefix}{name}_")
        elif not isinstance(child, nn.Identity | nn.Dropout | StochasticDepth):
            yield f"{prefix}{name}", child


def _folded(chain: list[tuple[str, nn.Module]]) -> Iterator[tuple[str, nn.Module]]:
    while chain:
        name, module = chain.pop(0)
        conv = module.lender[0] if isinstance(module, Borrowed) else module
        if isinstance(conv, StandardisedConv2d):
            module = conv = with_weights(conv)
        if isinstance(conv, nn.Conv2d) and chain and isinstance(chain[0][1], nn.BatchNorm2d):
            module = with_norm(conv, chain.pop(0)[1])  # type: ignore[arg-type]
        yield name, module


@torch.no_grad()
def with_weights(conv: StandardisedConv2d) -> SameConv2d:
    """An ordinary convolution with the weights that `conv` makes of its own."""
    kernel, stride, dilation = (cast(tuple[int, int], of) for of in (conv.kernel_size, conv.stride, conv.dilation))
    made = SameConv2d(
        conv.in_channels, conv.out_channels, kernel, stride,
        dilation=dilation, groups=conv.groups, bias=conv.bias is not None,
    )  # fmt: skip
    made.rule = conv.rule
    made.weight = nn.Parameter(conv.filters(), requires_grad=False)
    made.bias = conv.bias
    return made.eval()


@torch.no_grad()
def with_norm(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """A copy of `conv` that does what `conv` and then `norm` do; reckoned in double precision."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    factor = norm.weight.double() * torch.rsqrt(norm.running_var.double() + norm.eps)
    offset = norm.bias.double() - norm.running_mean.double() * factor
    if conv.bias is not None:
        offset = offset + conv.bias.double() * factor
    folded = copy.deepcopy(conv)
    weight: Tensor = conv.weight.double() * factor[:, None, None, None]
    folded.weight = nn.Parameter(weight.to(conv.weight.dtype), requires_grad=False)
    folded.bias = nn.Parameter(offset.to(conv.weight.dtype), requires_grad=False)
    return folded
