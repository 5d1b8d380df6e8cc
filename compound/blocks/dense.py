"""The block of DenseNet: what a layer makes is put beside all that was made before."""

from dataclasses import dataclass

from compound.blocks.base import Block
from compound.blocks.style import Style
from compound.errors import NetworkError
from compound.ops import Chain, Concat, Conv, Operator, Pool


@dataclass(frozen=True)
class Dense(Block):
    """norm, act, 1×1 to `bottleneck` · growth; norm, act, k×k to growth; its output beside its input.

    DenseNet-BC (Huang et al. 2017, Table 1). The stage's channels are the growth rate, so a layer has
    input + growth channels. A stride is the transition before the layer, and as in every stage only the first repeat
    has it: norm, act, 1×1 to `compress` of the input's channels, average pooling.
    """

    kernel: int = 3
    bottleneck: int = 4
    compress: float = 0.5

    def check(self, inp: int, out: int) -> None:
        super().check(inp, out)
        if self.bottleneck < 1:
            raise NetworkError(f"bottleneck {self.bottleneck} is less than one; use 4")
        if not 0 < self.compress <= 1:
            raise NetworkError(f"compress {self.compress} is not a share of the channels; use 0.5, or 1 to keep all")
        if int(inp * self.compress) < 1:
            raise NetworkError(f"compress {self.compress} leaves no channel of {inp}; use 0.5, or 1 to keep all")

    def out_channels(self, inp: int, out: int, stride: int = 1) -> int:
        return (inp if stride == 1 else int(inp * self.compress)) + out

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        layer = Chain((
            *norm_first(self.bottleneck * out, 1, style, 1).parts,
            *norm_first(out, self.kernel, style, 2).parts,
        ))  # fmt: skip
        dense = Concat((Chain(), layer))
        if stride == 1:
            return dense
        squeeze = norm_first(int(inp * self.compress), 1, style)
        return Chain.of(
            transition=Chain((*squeeze.parts, ("pool", Pool("average", stride, stride, "valid")))),
            dense=dense,
        )


def norm_first(channels: int, kernel: int, style: Style, number: int | str = "") -> Chain:
    """Norm, activation, convolution ("pre-activation", He et al. 2016b), their names ending in `number`."""
    conv = Conv(channels, kernel, bias=style.biased, padding=style.padding)
    return Chain.of(**{f"norm{number}": style.normed(), f"act{number}": style.act(), f"conv{number}": conv})
