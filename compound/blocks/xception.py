"""The block of Xception (Chollet 2017)."""

from dataclasses import dataclass
from typing import Literal

from compound.blocks.base import Block, keeps_shape
from compound.blocks.style import Style
from compound.bounds import check_parts
from compound.errors import NetworkError
from compound.ops import Chain, Depthwise, Operator, Pool, Residual


@dataclass(frozen=True)
class Xception(Block):
    """`repeats` × (activation, depthwise k×k, pointwise 1×1, norm), max pooling where it strides, and a shortcut.

    The first separable convolution changes the channels, or the last one (`grow`, the exit flow). Without
    `act_first` the first activation is left out, as the layer before has one.
    """

    kernel: int = 3
    repeats: int = 3
    act_first: bool = True
    grow: Literal["first", "last"] = "first"

    def check(self, inp: int, out: int) -> None:
        super().check(inp, out)
        check_parts("repeats", self.repeats)
        if self.repeats < 1:
            raise NetworkError(f"repeats {self.repeats} is less than one; use 3, or 2 as in the entry flow")

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        parts: list[tuple[str, Operator]] = []
        for number in range(1, self.repeats + 1):
            if number > 1 or self.act_first:
                parts.append((f"act{number}", style.act()))
            channels = out if self.grow == "first" or number == self.repeats else inp
            depthwise = Depthwise(self.kernel, padding=style.padding)
            parts.append(
                (f"separable{number}", Chain.of(depthwise=depthwise, pointwise=style.conv(channels, act=False)))
            )
        if stride > 1:
            parts.append(("pool", Pool("max", 3, stride, style.padding)))
        shortcut = Chain() if keeps_shape(inp, out, stride) else style.conv(out, stride=stride, act=False)
        return Residual(Chain(tuple(parts)), shortcut)
