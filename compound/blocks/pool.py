"""Max pooling as a block: a row of its own in the networks from before strided convolutions."""

from dataclasses import dataclass

from compound.blocks.base import Block
from compound.blocks.style import Style
from compound.errors import NetworkError
from compound.ops import Operator, Pool


@dataclass(frozen=True)
class MaxPool(Block):
    """k×k max pooling without padding; `ceil` keeps a last window that is only partly filled, as Caffe did.

    Give its stage `fixed=("depth",)`: pooling is not repeated in a deeper network. Channels stay those of the input.
    """

    kernel: int = 2
    ceil: bool = False

    def check(self, inp: int, out: int) -> None:
        if self.kernel < 1:  # unlike a convolution's, the window may be even
            raise NetworkError(f"kernel {self.kernel} is not positive; use 2 or 3")
        if inp != out:
            raise NetworkError(f"max pooling leaves {inp} channels as they are; use channels {inp} instead of {out}")

    def stage_channels(self, inp: int, wanted: int) -> int:
        return inp

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        return Pool("max", self.kernel, stride, "valid", self.ceil)
