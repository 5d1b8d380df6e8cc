"""Blocks of GhostNet (Han et al. 2020, arXiv:1911.11907)."""

from dataclasses import dataclass

from compound.blocks.base import Block, keeps_shape
from compound.blocks.style import SqueezeExcite, Style, squeeze_excite
from compound.ops import Chain, Concat, Operator, Residual, Slice


@dataclass(frozen=True)
class GhostBottleneck(Block):
    """Two ghost modules, the first to `expand` times the channels, and a shortcut (Figure 3).

    Between them a depthwise k×k convolution without activation where the block strides, then squeeze-excite. Where
    shapes change, the shortcut is a depthwise k×k and a 1×1 convolution.
    """

    kernel: int = 3
    expand: float = 3
    se: float | SqueezeExcite = 0

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        mid = round(inp * self.expand)
        strided = style.depthwise(self.kernel, stride, act=False)
        body = Chain.of(
            expand=ghost_module(mid, style, act=True),
            depthwise=strided if stride > 1 else None,
            se=squeeze_excite(self.se, inp, mid, style),
            project=ghost_module(out, style, act=False),
        )
        if keeps_shape(inp, out, stride):
            return Residual(body)
        return Residual(body, Chain.of(depthwise=strided, conv=style.conv(out, act=False)))


def ghost_module(channels: int, style: Style, act: bool) -> Operator:
    """Half the channels by a 1×1 convolution, and their ghosts, a depthwise 3×3 of each (Section 3.1)."""
    half = -(-channels // 2)
    return Chain.of(
        primary=style.conv(half, act=act),
        ghosts=Concat((Chain(), style.depthwise(3, act=act))),
        cut=Slice(0, channels) if 2 * half > channels else None,
    )
