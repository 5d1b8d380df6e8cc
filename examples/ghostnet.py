"""A family of one's own: GhostNet (Han et al. 2020, Table 7). Nothing is registered and no other file is touched."""

from dataclasses import dataclass, replace

from compound import Block, ConvBlock, Head, Network, SqueezeExcite, Stage, Style
from compound.blocks import keeps_shape, squeeze_excite
from compound.ops import Chain, Concat, Operator, Residual
from compound.rounding import round_channels


def ghost(channels: int, style: Style, act: bool = True) -> Chain:
    """Half of the channels by 1×1 convolution, the other half by a cheap 3×3 on each of them."""
    return Chain.of(primary=style.conv(channels // 2, act=act), cheap=Concat((Chain(), style.depthwise(3, act=act))))


@dataclass(frozen=True)
class Ghost(Block):
    """Ghost module to `mid` channels, depthwise k×k where it strides, squeeze-excite, ghost module; a shortcut."""

    kernel: int = 3
    mid: int = 48
    se: float | SqueezeExcite = 0

    def widened(self, width: float, divisor: int) -> Block:
        return replace(self, mid=round_channels(self.mid * width, divisor))

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        down = style.depthwise(self.kernel, stride, act=False)
        gate = squeeze_excite(self.se, inp, self.mid, style)
        slim = ghost(out, style, act=False)
        body = Chain.of(expand=ghost(self.mid, style), down=down if stride > 1 else None, se=gate, project=slim)
        fit = Chain.of(depthwise=down, conv=style.conv(out, act=False))
        return Residual(body, Chain() if keeps_shape(inp, out, stride) else fit)


SE = SqueezeExcite(0.25, of="expanded", divisor=4, gate="hard_sigmoid")
ROWS = (  # kernel, mid, se, channels, stride
    (3, 16, 0, 16, 1), (3, 48, 0, 24, 2), (3, 72, 0, 24, 1), (5, 72, SE, 40, 2), (5, 120, SE, 40, 1),
    (3, 240, 0, 80, 2), (3, 200, 0, 80, 1), (3, 184, 0, 80, 1), (3, 184, 0, 80, 1),
    (3, 480, SE, 112, 1), (3, 672, SE, 112, 1), (5, 672, SE, 160, 2),
    (5, 960, 0, 160, 1), (5, 960, SE, 160, 1), (5, 960, 0, 160, 1), (5, 960, SE, 160, 1),
)  # fmt: skip
GHOSTNET = Network("ghostnet", Stage(ConvBlock(3), 1, 16, 2),
                   tuple(Stage(Ghost(k, mid, se), 1, out, s) for k, mid, se, out, s in ROWS),
                   Head(960, hidden=(1280,)), dropout=0.2, style=Style("relu", 0.9, 1e-5))  # fmt: skip
