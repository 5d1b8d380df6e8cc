"""ReXNet's block: an inverted bottleneck whose shortcut also spans a step to more channels."""

from dataclasses import dataclass

from compound.blocks.base import Block, keeps_shape
from compound.blocks.style import SqueezeExcite, Style, squeeze_excite
from compound.ops import Add, Chain, Function, Join, Operator, Residual, Slice, Wiring


@dataclass(frozen=True)
class WideningMBConv(Block):
    """Expand 1×1, depthwise k×k and norm, squeeze-excite, activation, project 1×1; what enters is added to as many of
    the channels that leave, and the others stay as they are made.

    Han et al. 2021 (arXiv:2007.00992), Section 4 and the official code. Where fewer channels leave than enter, or it
    strides, there is no shortcut.
    """

    kernel: int = 3
    expand: float = 6
    se: float | SqueezeExcite = 0
    activation: Function | None = "relu6"  # behind the gate; None: the network's

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        mid = round(inp * self.expand)
        body = Chain.of(
            expand=style.conv(mid) if mid != inp else None,
            depthwise=style.depthwise(self.kernel, stride, act=False),
            se=squeeze_excite(self.se, inp, mid, style),
            act=style.with_activation(self.activation).act(),
            project=style.conv(out, act=False),
        )
        if stride > 1 or out < inp:
            return body
        if keeps_shape(inp, out, stride):
            return Residual(body)
        first, rest = Slice(0, inp), Slice(inp, out)
        return Wiring(((body, (0,)), (first, (1,)), (Add(), (2, 0)), (rest, (1,)), (Join(), (3, 4))))
