"""Blocks of the mobile families: separable convolutions and inverted bottlenecks."""

from dataclasses import dataclass
from typing import Literal

from compound.blocks.base import Block, keeps_shape
from compound.blocks.style import SqueezeExcite, Style, squeeze_excite
from compound.errors import NetworkError
from compound.ops import Chain, Depthwise, Function, Operator, Pool, Residual

Skip = bool | Literal["pool"]


def skipping(skip: Skip, body: Operator, inp: int, out: int, stride: int, style: Style) -> Operator:
    """`body` beside an identity where shapes allow one; `pool` beside 3×3 average pooling, which may also stride.

    Tan et al. 2019 (MnasNet), Section 4.1: skip operation pooling, identity residual, or none.
    """
    if skip == "pool" and inp == out:
        return Residual(body, Pool("average", 3, stride, style.padding))
    return Residual(body) if skip is True and keeps_shape(inp, out, stride) else body


@dataclass(frozen=True)
class MBConv(Block):
    """Inverted bottleneck: expand 1×1, depthwise k×k, squeeze-excite, project 1×1 without activation.

    Sandler et al. 2018 (`se=0`), Tan et al. 2019. The squeeze width derives from the block's input channels.
    """

    kernel: int = 3
    expand: float = 6
    se: float | SqueezeExcite = 0.25
    skip: Skip = True
    activation: Function | None = None  # None: the network's

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        style = style.with_activation(self.activation)
        mid = round(inp * self.expand)
        body = Chain.of(
            expand=style.conv(mid) if mid != inp else None,
            depthwise=style.depthwise(self.kernel, stride),
            se=squeeze_excite(self.se, inp, mid, style),
            project=style.conv(out, act=False),
        )
        return skipping(self.skip, body, inp, out, stride, style)


@dataclass(frozen=True)
class FusedMBConv(Block):
    """MBConv whose expansion and depthwise are one k×k convolution (EfficientNet-EdgeTPU, EfficientNetV2).

    With `expand` 1 it is a single k×k convolution, norm and activation. `of` says whose channels are expanded.
    """

    kernel: int = 3
    expand: float = 4
    se: float | SqueezeExcite = 0
    skip: Skip = True
    of: Literal["input", "output"] = "input"

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        mid = round((inp if self.of == "input" else out) * self.expand)
        single = mid == inp
        body = Chain.of(
            fused=style.conv(out if single else mid, self.kernel, stride),
            se=squeeze_excite(self.se, inp, out if single else mid, style),
            project=None if single else style.conv(out, act=False),
        )
        return skipping(self.skip, body, inp, out, stride, style)


@dataclass(frozen=True)
class UniversalMBConv(Block):
    """MBConv with a depthwise convolution before the expansion, within it, both or neither (Qin et al. 2024).

    `before` is the kernel of the one on the input, `kernel` of the one on the expanded map; 0 leaves it out. Without
    the first it is MBConv, without the second ConvNeXt-like, without both a feed-forward block, which cannot stride.
    The stride is on the expanded map where there is a convolution. The one before has no activation.
    """

    kernel: int = 3
    before: int = 0
    expand: float = 4

    def check(self, inp: int, out: int) -> None:
        for name in ("kernel", "before"):
            if (size := getattr(self, name)) < 0 or (size and size % 2 == 0):
                raise NetworkError(f"{name} {size} is {'even' if size > 0 else 'negative'}; use 3 or 5, or 0 for none")
        MBConv(expand=self.expand).check(inp, out)

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        if stride > 1 and not (self.kernel or self.before):
            raise NetworkError(f"a block without depthwise convolution cannot have stride {stride}; give it a kernel")
        first = 1 if self.kernel else stride
        body = Chain.of(
            before=style.depthwise(self.before, first, act=False) if self.before else None,
            expand=style.conv(round(inp * self.expand)),
            depthwise=style.depthwise(self.kernel, stride) if self.kernel else None,
            project=style.conv(out, act=False),
        )
        return skipping(True, body, inp, out, stride, style)


@dataclass(frozen=True)
class Separable(Block):
    """Depthwise k×k, then pointwise 1×1, each with norm and activation (MobileNetV1, Howard et al. 2017).

    `bare` leaves out norm and activation between the two (Xception, Chollet 2017). `se` stands between them, too
    (PP-LCNet, Cui et al. 2021).
    """

    kernel: int = 3
    bare: bool = False
    se: float | SqueezeExcite = 0

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        bare = Depthwise(self.kernel, stride, style.padding)
        return Chain.of(
            depthwise=bare if self.bare else style.depthwise(self.kernel, stride),
            se=squeeze_excite(self.se, inp, inp, style),
            pointwise=style.conv(out),
        )
