"""MBConv with kernels of several sizes side by side (Tan & Le 2019, MixConv)."""

from collections.abc import Sequence
from dataclasses import dataclass

from compound.blocks.base import Block
from compound.blocks.mobile import skipping
from compound.blocks.style import SqueezeExcite, Style, squeeze_excite
from compound.bounds import check_parts
from compound.errors import NetworkError
from compound.ops import Chain, Concat, Conv, Depthwise, Function, Operator, Slice


@dataclass(frozen=True)
class MixedMBConv(Block):
    """MBConv whose depthwise convolution has a kernel of its own for each part of the channels.

    Tan & Le 2019 (arXiv:1907.09595, Figure 2). Parts are equal; the first has what is left over. The 1×1 convolutions
    may be in parts too, `expand_parts` and `project_parts`, which then see only their own channels. The squeeze width
    derives from the block's input channels.
    """

    kernels: tuple[int, ...] = (3, 5)
    expand: float = 6
    se: float | SqueezeExcite = 0
    expand_parts: int = 1
    project_parts: int = 1
    activation: Function | None = None  # None: the network's

    def check(self, inp: int, out: int) -> None:
        super().check(inp, out)
        check_parts("kernels", len(self.kernels))
        if not self.kernels or any(kernel < 1 or kernel % 2 == 0 for kernel in self.kernels):
            raise NetworkError(f"kernels {list(self.kernels)} are not all odd and positive; use e.g. [3, 5]")
        mid = round(inp * self.expand)
        for name, parts, fewest in (
            ("kernels", len(self.kernels), mid),
            ("expand_parts", self.expand_parts, min(inp, mid)),
            ("project_parts", self.project_parts, min(mid, out)),
        ):
            if not 1 <= parts <= min(fewest, 100):
                raise NetworkError(f"{name}: {parts} parts of {fewest} channels are not possible; use 1 or 2")

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        style = style.with_activation(self.activation)
        mid = round(inp * self.expand)
        depthwise = side_by_side([Depthwise(kernel, stride, style.padding) for kernel in self.kernels], mid)
        body = Chain.of(
            expand=pointwise(inp, mid, self.expand_parts, style, act=True) if mid != inp else None,
            depthwise=Chain.of(conv=depthwise, norm=style.normed(), act=style.act()),
            se=squeeze_excite(self.se, inp, mid, style),
            project=pointwise(mid, out, self.project_parts, style, act=False),
        )
        return skipping(True, body, inp, out, stride, style)


def pointwise(inp: int, out: int, parts: int, style: Style, act: bool) -> Operator:
    """1×1 convolutions of `parts` equal parts of the channels, the norm, and the activation if `act`."""
    convs = side_by_side([Conv(channels, bias=style.biased) for channels in shares(out, parts)], inp)
    return Chain.of(conv=convs, norm=style.normed(), act=style.act() if act else None)


def side_by_side(operators: Sequence[Operator], channels: int) -> Operator:
    """Each operator on its own equal part of the channels, their outputs side by side."""
    if len(operators) == 1:
        return operators[0]
    branches, start = [], 0
    for operator, share in zip(operators, shares(channels, len(operators)), strict=True):
        branches.append(Chain.of(slice=Slice(start, start + share), conv=operator))
        start += share
    return Concat(tuple(branches))


def shares(channels: int, parts: int) -> list[int]:
    """Equal parts of the channels; the first has what is left over."""
    each = channels // parts
    return [channels - each * (parts - 1), *[each] * (parts - 1)]
