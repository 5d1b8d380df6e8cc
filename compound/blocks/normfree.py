"""Blocks without norms: NFNet, whose convolutions have standardised weights (`Style.norm` "weights")."""

import math
from dataclasses import dataclass, replace
from typing import ClassVar

from compound.blocks.base import Block, keeps_shape
from compound.blocks.style import SqueezeExcite, Style, squeeze_excite
from compound.errors import NetworkError
from compound.ops import Chain, Operator, Pool, Residual, Scale
from compound.rounding import round_channels


@dataclass(frozen=True)
class NormFree(Block):
    """act, 1×1, act, k×k, act, k×k, act, 1×1, gate, times a learned number and `alpha`, plus a shortcut.

    NFNet's block (Brock et al. 2021, arXiv:2102.06171, Fig. 5). The variance grows by `alpha`² a block and starts again
    at one where a stage begins, so the first activation is divided by √(1 + alpha² · `depth`): the blocks since then.
    A transition's shortcut reads that activation, pools and has a 1×1 convolution.
    """

    in_groups: ClassVar[bool] = True

    kernel: int = 3
    reduce: int = 2
    group_width: int = 128
    se: float | SqueezeExcite = 0
    alpha: float = 0.2
    gate_gain: float = 2.0
    depth: int = 0

    @property
    def multiple(self) -> int:
        return self.reduce * self.group_width

    def check(self, inp: int, out: int) -> None:
        super().check(inp, out)
        if self.reduce < 1 or self.group_width < 1:
            raise NetworkError("reduce and group_width are at least one; use 2 and 128")
        if out % self.multiple:
            raise NetworkError(
                f"channels {out} do not hold whole groups of {self.group_width} after reduce {self.reduce}; "
                f"use a multiple of {self.multiple}"
            )

    def placed(self, repeat: int, before: int) -> Block:
        return replace(self, depth=before if repeat == 1 else repeat - 1)

    def widened(self, width: float, divisor: int) -> "NormFree":
        """Groups grow with the channels, as `Grouped`'s do."""
        return replace(self, group_width=round_channels(self.group_width * width, divisor))

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        mid = out // self.reduce
        groups = mid // self.group_width
        first = style.scaled_act(1 / math.sqrt(1 + self.alpha**2 * self.depth))
        gate = squeeze_excite(self.se, inp, out, style)
        body = Chain.of(
            reduce=style.conv(mid),
            conv1=style.conv(mid, self.kernel, stride, groups),
            conv2=style.conv(mid, self.kernel, 1, groups),
            expand=style.conv(out, act=False),
            se=gate,
            gate_gain=Scale(self.gate_gain) if gate else None,
            skip_init=Scale(0.0, "one"),
            alpha=Scale(self.alpha),
        )
        if keeps_shape(inp, out, stride):
            return Residual(Chain.of(act=first, body=body))
        pool = Pool("average", 2, stride, "valid", ceil=True) if stride > 1 else None
        return Chain.of(act=first, residual=Residual(body, Chain.of(pool=pool, conv=style.conv(out, act=False))))


@dataclass(frozen=True)
class TieredStem(Block):
    """Four k×k convolutions to 1/8, 1/4, 1/2 and all of the channels, activations between; half the stride first."""

    kernel: int = 3

    def check(self, inp: int, out: int) -> None:
        super().check(inp, out)
        if out < 8:
            raise NetworkError(f"channels {out} have no eighth for the first convolution; use e.g. 128")

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        first = min(stride, 2)
        return Chain.of(
            conv1=style.conv(out // 8, self.kernel, first),
            conv2=style.conv(out // 4, self.kernel),
            conv3=style.conv(out // 2, self.kernel),
            conv4=style.conv(out, self.kernel, stride // first, act=False),
        )
