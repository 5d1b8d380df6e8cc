"""A network without its norms: in evaluation a norm is an affine map, which the convolution before it takes in.

So are branches of such convolutions that are added: one convolution takes in all.
"""

import copy
from collections import OrderedDict
from collections.abc import Iterator
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from compound.nn.lean import plain
from compound.nn.modules import Borrowed, SameConv2d, StandardisedConv2d, Sum


def fold(model: nn.Module) -> nn.Module:
    """A copy of `model` in evaluation mode whose norms behind convolutions are folded into them.

    The outputs are the same up to rounding. Branches that are linear and added become one convolution. Chains within
    chains become one chain, and what does nothing in evaluation (dropout, identities) is left out. Norms that stand
    before an activation and no convolution (DenseNet) stay.
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
        elif isinstance(child, Sum) and (one := summed(child)) is not None:
            setattr(module, name, one)


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
        norm = chain[0][1] if chain else None
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            module = with_norm(conv, norm)
            del chain[0]
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
def summed(branches: Sum) -> nn.Conv2d | None:
    """One convolution that does what folded branches do together; None where they do not lie over one another.

    A smaller kernel is the middle of the larger one, and a norm alone, or nothing, a 1×1 convolution that mixes no
    channels (Ding et al. 2021, Section 3.3); reckoned in double precision.
    """
    parts = [list(steps(nn.Sequential(branch))) for branch in branches]
    alone = [part[0][1] for part in parts if len(part) == 1]
    convs = [module for module in alone if isinstance(module, nn.Conv2d)]
    norms = [module for module in alone if isinstance(module, nn.BatchNorm2d)]
    identical = sum(not part for part in parts)
    if not convs or len(convs) + len(norms) + identical < len(parts) or not all(map(middled, convs)):
        return None
    made = copy.deepcopy(max(convs, key=lambda conv: conv.weight.shape[2:].numel()))
    if {(conv.stride, conv.groups) for conv in convs} != {(made.stride, made.groups)}:
        return None
    if any(side > whole for conv in convs for side, whole in zip(conv.kernel_size, made.kernel_size, strict=True)):
        return None  # windows that cross, of which none covers the other
    sides = range(made.out_channels)
    identities = torch.zeros(made.out_channels, made.weight.shape[1], 1, 1)
    identities[sides, [side % made.weight.shape[1] for side in sides]] = 1
    weight, bias = torch.zeros_like(made.weight, dtype=torch.float64), torch.zeros(made.out_channels).double()
    point = nn.Conv2d(made.in_channels, made.out_channels, 1, groups=made.groups, bias=False)
    point.weight = nn.Parameter(identities, requires_grad=False)
    convs += [point] * identical + [with_norm(point, norm) for norm in norms]
    for conv in convs:
        around = [(whole - part) // 2 for whole, part in zip(made.weight.shape[2:], conv.weight.shape[2:], strict=True)]
        weight += F.pad(conv.weight.double(), (around[1], around[1], around[0], around[0]))
        bias += 0 if conv.bias is None else conv.bias.double()
    made.weight = nn.Parameter(weight.to(made.weight.dtype), requires_grad=False)
    made.bias = nn.Parameter(bias.to(made.weight.dtype), requires_grad=False)
    return made


def middled(conv: nn.Conv2d) -> bool:
    """Whether the middle of the kernel lies on every `stride`-th position from the first."""
    odd = all(size % 2 for size in conv.kernel_size) and set(conv.dilation) == {1}
    if isinstance(conv, SameConv2d):
        return odd and (conv.rule == "symmetric" or (conv.rule == "same" and set(conv.stride) == {1}))
    return odd and conv.padding == tuple(size // 2 for size in conv.kernel_size)


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
