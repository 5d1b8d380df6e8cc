"""F_i of Equation 1: the blocks a stage repeats, as data; a file for each family of ideas.

A block writes itself out as operators for given channels and stride, once; cost, build, table and drawing read
those operators. A block of your own is a frozen dataclass with an `operators` method, nothing else.
"""

from compound.blocks.base import Block, all_blocks, block_name, keeps_shape, place
from compound.blocks.cell import BareConv, Cell
from compound.blocks.conv import ConvBlock
from compound.blocks.convnext import ConvNext, Patches
from compound.blocks.dense import Dense
from compound.blocks.fire import Fire
from compound.blocks.ghost import GhostBottleneck
from compound.blocks.grouped import DeepStem, Grouped, HalvedBottleneck
from compound.blocks.inception import Branch, Inception, InceptionResidual
from compound.blocks.mixed import MixedMBConv
from compound.blocks.mobile import FusedMBConv, MBConv, Separable, UniversalMBConv
from compound.blocks.normfree import NormFree, TieredStem
from compound.blocks.partial import PartialConv
from compound.blocks.pool import MaxPool
from compound.blocks.reparam import MobileOne, RepVgg, RepVit
from compound.blocks.residual import Basic, Bottleneck
from compound.blocks.shuffle import ShuffleV1, ShuffleV2
from compound.blocks.style import SqueezeExcite, Style, squeeze_excite
from compound.blocks.widening import WideningMBConv
from compound.blocks.wired import Wire, Wired
from compound.blocks.xception import Xception

__all__ = [
    "BareConv",
    "Basic",
    "Block",
    "Bottleneck",
    "Branch",
    "Cell",
    "ConvBlock",
    "ConvNext",
    "DeepStem",
    "Dense",
    "Fire",
    "FusedMBConv",
    "GhostBottleneck",
    "Grouped",
    "HalvedBottleneck",
    "Inception",
    "InceptionResidual",
    "MBConv",
    "MaxPool",
    "MixedMBConv",
    "MobileOne",
    "NormFree",
    "PartialConv",
    "Patches",
    "RepVgg",
    "RepVit",
    "Separable",
    "ShuffleV1",
    "ShuffleV2",
    "SqueezeExcite",
    "Style",
    "TieredStem",
    "UniversalMBConv",
    "WideningMBConv",
    "Wire",
    "Wired",
    "Xception",
    "all_blocks",
    "block_name",
    "keeps_shape",
    "place",
    "squeeze_excite",
]
