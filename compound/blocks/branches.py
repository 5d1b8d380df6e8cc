"""Blocks whose output is several convolutions side by side: GoogLeNet's Inception, SqueezeNet's Fire."""

from dataclasses import dataclass, replace

from compound.blocks.base import Block
from compound.blocks.style import Style
from compound.errors import NetworkError
from compound.ops import Chain, Concat, Operator, Pool
from compound.rounding import round_channels


@dataclass(frozen=True)
class Inception(Block):
    """1×1 | 1×1, 3×3 | 1×1, k×k | 3×3 max pooling, 1×1: four branches side by side (Szegedy et al. 2015, Table 1).

    `three` and `five` are the widths of a reduction and of the convolution after it, `pool` is that of the pooled
    branch; the stage's channels are the sum of the four. `kernel` is that of the branch "5×5".
    """

    one: int = 64
    three: tuple[int, int] = (96, 128)
    five: tuple[int, int] = (16, 32)
    pool: int = 32
    kernel: int = 5

    def stage_channels(self, inp: int, wanted: int) -> int:
        return self.one + self.three[1] + self.five[1] + self.pool

    def check(self, inp: int, out: int) -> None:
        super().check(inp, out)
        for name, widths in (("one", [self.one]), ("three", self.three), ("five", self.five), ("pool", [self.pool])):
            if min(widths) < 1:
                raise NetworkError(f"{name} {getattr(self, name)} has a width below one; use e.g. 32")
        if out != (made := self.stage_channels(inp, out)):
            raise NetworkError(f"the four branches make {made} channels; use channels {made} instead of {out}")

    def widened(self, width: float, divisor: int) -> Block:
        def wider(channels: int) -> int:
            return round_channels(channels * width, divisor)

        return replace(
            self,
            one=wider(self.one),
            three=(wider(self.three[0]), wider(self.three[1])),
            five=(wider(self.five[0]), wider(self.five[1])),
            pool=wider(self.pool),
        )

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        def reduced(widths: tuple[int, int], kernel: int) -> Chain:
            return Chain.of(reduce=style.conv(widths[0]), conv=style.conv(widths[1], kernel, stride))

        pooled = Chain.of(pool=Pool("max", 3, stride, style.padding), project=style.conv(self.pool))
        return Concat((
            style.conv(self.one, 1, stride),
            reduced(self.three, 3),
            reduced(self.five, self.kernel),
            pooled,
        ))  # fmt: skip


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
