"""F_i of Equation 1: the blocks a stage repeats, as data; a file for each family of ideas.

A block writes itself out as operators for given channels and stride, once; cost, build, table and drawing read
those operators. A block of your own is a frozen dataclass with an `operators` method, nothing else.
"""

from compound.blocks.base import Block, all_blocks, block_name, keeps_shape, place
from compound.blocks.cell import BareConv, Cell
from compound.blocks.conv import ConvBlock
from compound.blocks.mobile import FusedMBConv, MBConv, Separable
from compound.blocks.residual import Basic, Bottleneck
from compound.blocks.style import SqueezeExcite, Style, squeeze_excite

__all__ = [
    "BareConv",
    "Basic",
    "Block",
    "Bottleneck",
    "Cell",
    "ConvBlock",
    "FusedMBConv",
    "MBConv",
    "Separable",
    "SqueezeExcite",
    "Style",
    "all_blocks",
    "block_name",
    "keeps_shape",
    "place",
    "squeeze_excite",
]
