"""MixNet (Tan & Le 2019, arXiv:1907.09595, Figure 6), with the rows of the official code."""

from dataclasses import replace

from compound.blocks import Block, ConvBlock, MBConv, MixedMBConv, Style
from compound.head import Head
from compound.network import Network, Stage
from compound.scaling import Scaling, scale


def swish(*kernels: int, expand: float = 6, se: float = 0.5, parts: tuple[int, int] = (1, 1)) -> Block:
    """The later rows; the first two stages have ReLU and no gate."""
    return MixedMBConv(kernels, expand, se, *parts, activation="swish")


def relu(*kernels: int, expand: float = 6) -> Block:
    return MixedMBConv(kernels, expand, 0, 2, 2)


def mixnet(name: str, stem: int, stages: tuple[Stage, ...]) -> Network:
    first = Stage(MBConv(3, 1, se=0), layers=1, channels=stem)
    return Network(
        name=name,
        stem=Stage(ConvBlock(3), layers=1, channels=stem, stride=2),
        stages=(first, *stages),
        head=Head(1536),
        dropout=0.2,
        style=Style(activation="relu"),
    )


S = mixnet("mixnet-s", 16, (
    #     operator                                        layers  channels  stride
    Stage(relu(3),                                        1,       24,      2),
    Stage(relu(3, expand=3),                              1,       24,      1),
    Stage(swish(3, 5, 7),                                 1,       40,      2),
    Stage(swish(3, 5, parts=(2, 2)),                      3,       40,      1),
    Stage(swish(3, 5, 7, se=0.25, parts=(1, 2)),          1,       80,      2),
    Stage(swish(3, 5, se=0.25, parts=(1, 2)),             2,       80,      1),
    Stage(swish(3, 5, 7, parts=(2, 2)),                   1,      120,      1),
    Stage(swish(3, 5, 7, 9, expand=3, parts=(2, 2)),      2,      120,      1),
    Stage(swish(3, 5, 7, 9, 11),                          1,      200,      2),
    Stage(swish(3, 5, 7, 9, parts=(1, 2)),                2,      200,      1),
))  # fmt: skip

M = mixnet("mixnet-m", 24, (
    #     operator                                        layers  channels  stride
    Stage(relu(3, 5, 7),                                  1,       32,      2),
    Stage(relu(3, expand=3),                              1,       32,      1),
    Stage(swish(3, 5, 7, 9),                              1,       40,      2),
    Stage(swish(3, 5, parts=(2, 2)),                      3,       40,      1),
    Stage(swish(3, 5, 7, se=0.25),                        1,       80,      2),
    Stage(swish(3, 5, 7, 9, se=0.25, parts=(2, 2)),       3,       80,      1),
    Stage(swish(3),                                       1,      120,      1),
    Stage(swish(3, 5, 7, 9, expand=3, parts=(2, 2)),      3,      120,      1),
    Stage(swish(3, 5, 7, 9),                              1,      200,      2),
    Stage(swish(3, 5, 7, 9, parts=(1, 2)),                3,      200,      1),
))  # fmt: skip


def wide(name: str, width: float, longest: int) -> Network:
    """M wider, its head as it is; `longest` layers where M has three (timm's XL, which is not in the paper)."""
    scaled = scale(M, Scaling(width=width), name).with_(head=M.head)
    rows = (replace(row, layers=longest if row.layers == 3 else row.layers) for row in scaled.stages)
    return scaled.with_(stages=tuple(rows))


NETWORKS = (S, M, wide("mixnet-l", 1.3, 3), wide("mixnet-xl", 1.6, 4))
