"""Residual blocks of grouped convolutions: RegNet's, and what SENet-154 changes in ResNeXt."""

from dataclasses import dataclass, replace
from typing import ClassVar

from compound.blocks.base import Block
from compound.blocks.residual import Bottleneck, residual
from compound.blocks.style import SqueezeExcite, Style, squeeze_excite
from compound.errors import NetworkError
from compound.ops import Chain, Operator, Pool
from compound.rounding import round_channels


@dataclass(frozen=True)
class Grouped(Block):
    """1×1, k×k in groups of `group_width` channels with the stride, 1×1, all of one width, and a shortcut.

    RegNet's X block (Radosavovic et al. 2020, Fig. 4); with `se` its Y block, which gates the k×k convolution and
    squeezes the block's input channels.
    """

    in_groups: ClassVar[bool] = True

    kernel: int = 3
    group_width: int = 24
    se: float | SqueezeExcite = 0

    @property
    def multiple(self) -> int:
        return self.group_width

    def check(self, inp: int, out: int) -> None:
        super().check(inp, out)
        if self.group_width < 1:
            raise NetworkError(f"group_width {self.group_width} is less than one channel; use e.g. 24, or 1")
        if out % self.group_width:
            raise NetworkError(
                f"group_width {self.group_width} does not divide the {out} channels; use channels that are a "
                f"multiple of {self.group_width}"
            )

    def widened(self, width: float, divisor: int) -> "Grouped":
        """Groups grow with the channels, so that their number stays (Dollár et al. 2021, arXiv:2103.06877)."""
        return replace(self, group_width=round_channels(self.group_width * width, divisor))

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        body = Chain.of(
            reduce=style.conv(out),
            conv=style.conv(out, self.kernel, stride, groups=out // self.group_width),
            se=squeeze_excite(self.se, inp, out, style),
            expand=style.conv(out, act=False),
        )
        return residual(body, inp, out, stride, style)


@dataclass(frozen=True)
class HalvedBottleneck(Bottleneck):
    """Bottleneck whose first 1×1 has half the k×k convolution's channels, and whose strided shortcut is 3×3.

    Both are changes that SENet-154 makes to ResNeXt (Hu et al. 2018, appendix).
    """

    @property
    def multiple(self) -> int:
        return 2 * super().multiple if self.groups > 1 else 1

    def check(self, inp: int, out: int) -> None:
        super().check(inp, out)
        if self.pooled:
            raise NetworkError("pooled shortcuts have a 1×1 convolution and this block's is 3×3; leave out pooled")
        half = out // self.reduce // 2
        if half < 1:
            raise NetworkError(f"reduce {self.reduce} leaves one channel of {out}, too few to halve; use 1")
        if half % self.groups:
            raise NetworkError(
                f"groups {self.groups} do not divide the {half} channels of the first convolution; "
                f"use channels that are a multiple of {self.multiple}"
            )

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        mid = out // self.reduce
        body = Chain.of(
            reduce=style.conv(mid // 2),
            conv=style.conv(mid, self.kernel, stride, self.groups),
            expand=style.conv(out, act=False),
            se=squeeze_excite(self.se, inp, out, style),
        )
        return residual(body, inp, out, stride, style, kernel=1 if stride == 1 else 3)


@dataclass(frozen=True)
class DeepStem(Block):
    """Three k×k convolutions in place of ResNet's 7×7, the first two with half the channels, then its max pooling.

    The stride sits on the first convolution; the pooling has stride 2 where the block strides.
    """

    kernel: int = 3

    def check(self, inp: int, out: int) -> None:
        super().check(inp, out)
        if out < 2:
            raise NetworkError(f"channels {out} cannot be halved for the first convolutions; use e.g. 64")

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        return Chain.of(
            conv1=style.conv(out // 2, self.kernel, stride),
            conv2=style.conv(out // 2, self.kernel),
            conv3=style.conv(out, self.kernel),
            pool=Pool("max", 3, 2, style.padding) if stride > 1 else None,
        )
