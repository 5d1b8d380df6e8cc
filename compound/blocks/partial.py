"""FasterNet's block: a convolution of some channels, which two pointwise ones mix with the rest."""

from dataclasses import dataclass

from compound.blocks.base import Block, keeps_shape
from compound.blocks.style import Style
from compound.errors import NetworkError
from compound.ops import Chain, Concat, Conv, Operator, Residual, Slice


@dataclass(frozen=True)
class PartialConv(Block):
    """k×k on the first 1/`part` of the channels, the others as they are; 1×1 to `expand` times, 1×1 back; a shortcut.

    Chen et al. 2023 (arXiv:2303.03667), Figures 3 and 4. Norm and activation stand between the two 1×1 alone. Where
    shapes change, a convolution of windows that do not overlap and a norm come first.
    """

    kernel: int = 3
    expand: float = 2
    part: int = 4

    def check(self, inp: int, out: int) -> None:
        super().check(inp, out)
        if not 1 < self.part <= out:
            raise NetworkError(f"part {self.part} is no share of {out} channels; use 2 to {out}, usually 4")

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        first = out // self.part
        conv = Conv(first, self.kernel, padding=style.padding)
        body = Chain.of(
            partial=Concat((Chain.of(slice=Slice(0, first), conv=conv), Slice(first, out))),
            expand=style.conv(round(out * self.expand)),
            project=Conv(out),
        )
        if keeps_shape(inp, out, stride):
            return Residual(body)
        fit = style.conv(out, stride, stride, act=False, padding="valid")
        return Chain.of(fit=fit, residual=Residual(body))
