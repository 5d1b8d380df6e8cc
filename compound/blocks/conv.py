"""The plain convolution block: stems, and networks from before residual connections."""

from dataclasses import dataclass

from compound.blocks.base import Block
from compound.blocks.style import Style
from compound.errors import NetworkError
from compound.mapping import shown
from compound.ops import Chain, Operator, Pool
from compound.rounding import PADDINGS, Padding


def check_padding(padding: Padding | None) -> None:
    """Raise `NetworkError` for a name that is none, and for fewer positions than none."""
    if padding is None or padding in PADDINGS:
        return
    if isinstance(padding, bool | str) or min((padding,) if isinstance(padding, int) else padding) < 0:
        raise NetworkError(
            f"padding {shown(str(padding))} is unknown; use {', '.join(PADDINGS)}, or positions, such as 1"
        )


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
        check_padding(self.padding)

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        conv = style.conv(out, self.kernel, stride, padding=self.padding)
        pool = Pool("max", 3, 2, style.padding)
        return Chain((*conv.parts, ("pool", pool))) if self.pool and stride > 1 else conv
