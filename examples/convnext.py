"""ConvNeXt (Liu et al. 2022) as a user writes it: two blocks and the rows. Nothing is registered."""

from dataclasses import dataclass

from compound import Block, Head, Network, Stage, Style
from compound.ops import Chain, Conv, Operator, Residual, Scale


@dataclass(frozen=True)
class Patches(Block):
    """Convolution of non-overlapping windows; the norm stands behind it in the stem, before it between stages."""

    norm_first: bool = True

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        conv, norm = Conv(out, stride, stride, bias=True, padding="valid"), style.normed()
        return Chain.of(norm=norm, conv=conv) if self.norm_first else Chain.of(conv=conv, norm=norm)


@dataclass(frozen=True)
class ConvNext(Block):
    """Depthwise k×k, norm, 1×1 to four times the channels, activation, 1×1 back, a learned scale; a shortcut."""

    kernel: int = 7

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        depthwise = Conv(out, self.kernel, groups=out, bias=True)
        wide, narrow, scale = Conv(4 * out, bias=True), Conv(out, bias=True), Scale(1e-6, "channels")
        return Residual(Chain.of(depthwise=depthwise, norm=style.normed(), expand=wide, act=style.act(),
                                 project=narrow, scale=scale))  # fmt: skip


def convnext(name: str, layers: tuple[int, ...], channels: tuple[int, ...]) -> Network:
    rows = [
        (Stage(Patches(), 1, c, 2, ("depth",)), Stage(ConvNext(), n, c)) for n, c in zip(layers, channels, strict=True)
    ]
    return Network(name, Stage(Patches(norm_first=False), 1, channels[0], 4), sum(rows, ())[1:],
                   Head(norm_pooled=True), survival=0.9, style=Style("gelu", norm_eps=1e-6, norm="layer"))  # fmt: skip


CONVNEXT_TINY = convnext("convnext-tiny", (3, 3, 9, 3), (96, 192, 384, 768))
