"""Blocks of the residual families."""

from dataclasses import dataclass

from compound.blocks.base import Block, keeps_shape
from compound.blocks.style import SqueezeExcite, Style, squeeze_excite
from compound.errors import NetworkError
from compound.ops import Chain, Operator, Pool, Residual


@dataclass(frozen=True)
class Basic(Block):
    """Two k×k convolutions and a shortcut (He et al. 2016, ResNet-18 and -34).

    `pooled` halves the shortcut's map by 2×2 average pooling before its 1×1 convolution, which then reads every
    position (He et al. 2019, arXiv:1812.01187, ResNet-D).
    """

    kernel: int = 3
    pooled: bool = False

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        body = Chain.of(conv1=style.conv(out, self.kernel, stride), conv2=style.conv(out, self.kernel, act=False))
        return residual(body, inp, out, stride, style, pooled=self.pooled)


@dataclass(frozen=True)
class Bottleneck(Block):
    """1×1 to channels / `reduce`, k×k with the stride, 1×1 back, and a shortcut (He et al. 2016, ResNet-50).

    The stride sits on the k×k convolution ("v1.5"), as in torchvision and timm. `groups` makes it ResNeXt's (Xie et
    al. 2017), `reduce` 2 without groups Wide ResNet's, `se` SE-ResNet's: the gate is on the channels that come back.
    `pooled`: see `Basic`.
    """

    kernel: int = 3
    reduce: int = 4
    groups: int = 1
    se: float | SqueezeExcite = 0
    pooled: bool = False

    @property
    def multiple(self) -> int:
        return self.groups * self.reduce if self.groups > 1 else 1

    def check(self, inp: int, out: int) -> None:
        super().check(inp, out)
        if self.groups < 1:
            raise NetworkError(f"groups {self.groups} is less than one; use 1, or e.g. 32 for ResNeXt")
        keep = "use 4, or 1 for a bottleneck that keeps the width"
        if self.reduce < 1:
            raise NetworkError(f"reduce {self.reduce} is less than one; {keep}")
        mid = out // self.reduce
        if mid < 1:
            raise NetworkError(f"reduce {self.reduce} leaves no channel of {out}; {keep}")
        if mid % self.groups:
            raise NetworkError(
                f"groups {self.groups} do not divide the {mid} channels inside the block; "
                f"use channels that are a multiple of {self.groups * self.reduce}"
            )

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        mid = out // self.reduce
        body = Chain.of(
            reduce=style.conv(mid),
            conv=style.conv(mid, self.kernel, stride, self.groups),
            expand=style.conv(out, act=False),
            se=squeeze_excite(self.se, inp, out, style),
        )
        return residual(body, inp, out, stride, style, pooled=self.pooled)


def residual(
    body: Operator, inp: int, out: int, stride: int, style: Style, kernel: int = 1, pooled: bool = False
) -> Chain:
    """body(x) + shortcut(x), then the activation; a convolution, usually 1×1, fits the shortcut where shapes differ."""
    fit = style.conv(out, kernel, 1 if pooled else stride, act=False)
    if pooled and stride > 1:
        fit = Chain((("pool", Pool("average", 2, stride, "valid", ceil=True)), *fit.parts))
    shortcut = Chain() if keeps_shape(inp, out, stride) else fit
    return Chain.of(residual=Residual(body, shortcut), act=style.act())
