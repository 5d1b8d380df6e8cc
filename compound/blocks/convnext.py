"""Blocks of ConvNeXt (Liu et al. 2022, Figure 4; Woo et al. 2023, Figure 5)."""

from dataclasses import dataclass

from compound.blocks.base import Block, keeps_shape
from compound.blocks.style import Style
from compound.ops import Chain, Conv, Operator, Residual, ResponseNorm, Scale


@dataclass(frozen=True)
class Patches(Block):
    """Convolution of windows of stride × stride that do not overlap, then the norm: ConvNeXt's stem."""

    strides_of_stage = range(1, 33)

    bias: bool = True

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        return Chain.of(conv=Conv(out, stride, stride, bias=self.bias, padding="valid"), norm=style.normed())


@dataclass(frozen=True)
class ConvNext(Block):
    """Depthwise k×k, norm, 1×1 to `expand` times the channels, activation, 1×1 back, a learned scale; a shortcut.

    Where shapes change, a norm and a convolution of windows that do not overlap come first. The scale, one number a
    channel, starts at `scale`, 0 for none. `responses` normalises the responses of the expanded map (V2).
    """

    kernel: int = 7
    expand: float = 4
    scale: float = 1e-6
    responses: bool = False

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        body = Chain.of(
            depthwise=Conv(out, self.kernel, groups=out, bias=True),
            norm=style.normed(),
            expand=Conv(round(out * self.expand), bias=True),
            act=style.act(),
            responses=ResponseNorm() if self.responses else None,
            project=Conv(out, bias=True),
            scale=Scale(self.scale, "channels") if self.scale else None,
        )
        if keeps_shape(inp, out, stride):
            return Residual(body)
        fit = Chain.of(norm=style.normed(), conv=Conv(out, stride, stride, bias=True, padding="valid"))
        return Chain.of(fit=fit, residual=Residual(body))
