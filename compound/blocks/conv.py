"""The plain convolution block: stems, and networks from before residual connections."""

from dataclasses import dataclass

from compound.blocks.base import Block
from compound.blocks.style import Style
from compound.errors import NetworkError
from compound.mapping import shown
from compound.ops import Chain, Operator, Pool
from compound.rounding import PADDINGS, Padding


@dataclass(frozen=True)
class ConvBlock(Block):
    """k×k convolution, norm, activation; `pool` adds ResNet's 3×3 max pooling of stride 2 where the block strides.

    `padding` is that of the convolution where it differs from the network's.
    """

    kernel: int = 3
    pool: bool = False
    padding: Padding | None = None

    def check(self, inp: int, out: int) -> None:
        super().check(inp, out)
        if isinstance(self.padding, str) and self.padding not in PADDINGS:
            raise NetworkError(f"padding {shown(self.padding)} is unknown; use {', '.join(PADDINGS)}, or positions")

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        conv = style.conv(out, self.kernel, stride, padding=self.padding)
        pool = Pool("max", 3, 2, style.padding)
        return Chain((*conv.parts, ("pool", pool))) if self.pool and stride > 1 else conv
