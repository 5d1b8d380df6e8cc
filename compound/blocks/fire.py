"""The block of SqueezeNet."""

from dataclasses import dataclass, replace

from compound.blocks.base import Block
from compound.blocks.style import Style
from compound.errors import NetworkError
from compound.ops import Chain, Concat, Operator
from compound.rounding import round_channels


@dataclass(frozen=True)
class Fire(Block):
    """1×1 to `squeeze` channels, then a 1×1 and a k×k convolution of half the channels each (Iandola et al. 2016)."""

    squeeze: int = 16
    kernel: int = 3

    def check(self, inp: int, out: int) -> None:
        super().check(inp, out)
        if self.squeeze < 1:
            raise NetworkError(f"squeeze {self.squeeze} is less than one; use e.g. 16")
        if out < 2:
            raise NetworkError(f"channels {out} cannot be halved; use an even number, such as 128")

    def widened(self, width: float, divisor: int) -> Block:
        return replace(self, squeeze=round_channels(self.squeeze * width, divisor))

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        half = out // 2
        expand = Concat((style.conv(half, 1, stride), style.conv(out - half, self.kernel, stride)))
        return Chain.of(squeeze=style.conv(self.squeeze), expand=expand)
