"""What a block is: F_i of Equation 1 as data."""

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from compound.blocks.style import SqueezeExcite, Style
from compound.errors import NetworkError
from compound.ops import Operator, Shape, Trace


@dataclass(frozen=True)
class Block(ABC):
    """One F_i. `inp` and `out` are channels; only the first repeat of a stage has stride ≠ 1 or inp ≠ out."""

    reads_previous: ClassVar[bool] = False  # the input of the block before, too: see `cell`
    in_groups: ClassVar[bool] = False  # its own width is that of a group of channels
    strides_of_stage: ClassVar[Collection[int]] = (1, 2, 4)  # windows that do not overlap take larger ones
    keep_previous = False  # pass that map on, so that the next block reads it once more

    @abstractmethod
    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        """The block as operators."""

    def cell(self, shape: Shape, previous: Shape, out: int, stride: int, style: Style) -> Operator:
        """The block as operators of two maps, for one that `reads_previous`; `operators` where there is no other."""
        return self.operators(shape[0], out, stride, style)

    def check(self, inp: int, out: int) -> None:
        """Raise `NetworkError` when a field is impossible; a `Network` calls this and adds the stage."""
        kernel = getattr(self, "kernel", 1)
        if kernel < 1 or kernel % 2 == 0:
            near = "3, 5 or 7" if kernel < 8 else f"{kernel - 1} or {kernel + 1}"
            raise NetworkError(f"kernel {kernel} is {'even' if kernel > 0 else 'not positive'}; use {near}")
        expand, se = getattr(self, "expand", 1), getattr(self, "se", 0)
        if not 0 < expand < math.inf:
            raise NetworkError(f"expand {expand} is not a positive number; use 1, 4 or 6")
        if round(inp * expand) < 1:
            raise NetworkError(f"expand {expand} leaves no channel of {inp}; use 1, 4 or 6")
        if isinstance(se, SqueezeExcite):
            se.check()
        elif not 0 <= se <= 1:
            raise NetworkError(f"se {se} is not a ratio; use 0 for none or up to 1, usually 0.25")

    def out_channels(self, inp: int, out: int, stride: int = 1) -> int:
        """Channels that leave the block, for a stage of `out`; other than `out` where inputs are carried on."""
        return out

    def stage_channels(self, inp: int, wanted: int) -> int:
        """Channels of a scaled stage: `wanted`, unless the block has them from its own widths or from its input."""
        return wanted

    def widened(self, width: float, divisor: int) -> "Block":
        """The block whose own widths are scaled too; most blocks have none, as all theirs follow from the stage's."""
        return self

    def placed(self, repeat: int, before: int) -> "Block":
        """The block as repeat number `repeat` (from 1) of its stage, behind a stage of `before` blocks (0: the stem).

        Most are the same everywhere; a stage holds the block as at its first place.
        """
        return self

    @property
    def multiple(self) -> int:
        """What a stage's channels must be a multiple of, besides the network's divisor: blocks with groups say more."""
        return 1


def keeps_shape(inp: int, out: int, stride: int) -> bool:
    """Whether an identity shortcut is possible."""
    return stride == 1 and inp == out


@lru_cache(maxsize=256)
def place(
    block: Block,
    out: int,
    stride: int,
    style: Style,
    shape: Shape,
    previous: Shape | None = None,
    outlives: int | None = None,
) -> tuple[Operator, Trace]:
    """The operators of `block` on an input of `shape` (and on the map `previous` to it), and their trace.

    Kept because the repeats of a stage, and most stages of two related networks, are the same. A larger store is
    slower: the garbage collector walks through it.
    """
    if previous is None:
        operator = block.operators(shape[0], out, stride, style)
    else:
        operator = block.cell(shape, previous, out, stride, style)
    trace = Trace(operator, shape, previous, outlives)
    if min(map(min, trace.shapes)) < 1:
        raise NetworkError(f"nothing is left of a {shape[1]}×{shape[2]} map; use a larger resolution or fewer strides")
    return operator, trace


def all_blocks(root: type[Block] = Block) -> Iterator[type[Block]]:
    """Every block class there is, a user's own included: defining the class is enough."""
    for cls in root.__subclasses__():
        yield cls
        yield from all_blocks(cls)


def block_name(cls: type[Block]) -> str:
    """The name a block goes by in YAML: MBConv is `mbconv`, FusedMBConv `fused-mbconv`, ConvBlock `conv`."""
    words = re.findall(r"MBConv|[A-Z][a-z0-9]*", cls.__name__.removesuffix("Block"))
    return "-".join(words).lower()
