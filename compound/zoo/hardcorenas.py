"""HardCoRe-NAS A to F (Nayman et al. 2021, arXiv:2102.11646): MobileNetV3's blocks, found for a latency.

The rows are those of the published weights, for which the paper draws figures (its appendix).
"""

from itertools import groupby

from compound.blocks import ConvBlock, MBConv, Style
from compound.head import Head
from compound.network import Inputs, Network, Stage
from compound.zoo.mobilenetv3 import SE

CHANNELS = (24, 40, 80, 112, 192)
STRIDES = (2, 2, 2, 1, 2)

# name: the blocks of each stage as (kernel, expand, 1 where there is a gate)
Rows = tuple[tuple[tuple[int, int, int], ...], ...]
TABLE: dict[str, Rows] = {
    "a": (
        ((5, 3, 0), (5, 3, 1)), ((5, 3, 0), (5, 6, 1)),
        ((5, 6, 1), (5, 6, 1)), ((5, 6, 1), (5, 6, 1)), ((5, 6, 1), (5, 6, 1)),
    ),
    "b": (
        ((5, 3, 0), (5, 3, 1), (3, 3, 0)),
        ((5, 3, 0), (5, 3, 0), (5, 3, 0)),
        ((5, 3, 0), (5, 3, 0), (3, 3, 0), (3, 3, 0)),
        ((5, 3, 0), (3, 3, 0), (3, 3, 0), (3, 3, 0)),
        ((5, 6, 1), (5, 6, 1), (3, 3, 1)),
    ),
    "c": (
        ((5, 3, 0), (5, 3, 1)), ((5, 3, 0), (5, 3, 0), (5, 3, 0), (5, 3, 0)),
        ((5, 4, 0), (5, 6, 1), (3, 3, 0), (3, 3, 0)),
        ((5, 6, 1), (3, 3, 0), (3, 3, 0), (3, 3, 0)),
        ((5, 6, 1), (5, 6, 1), (3, 3, 1)),
    ),
    "d": (
        ((5, 3, 1), (5, 3, 1)),
        ((5, 3, 1), (5, 4, 1), (3, 3, 1)),
        ((5, 4, 1), (3, 3, 1), (3, 3, 1), (3, 3, 1)),
        ((3, 4, 1), (5, 4, 1), (3, 3, 1), (5, 3, 1)),
        ((5, 6, 1), (5, 6, 1), (5, 6, 1), (3, 6, 1)),
    ),
    "e": (
        ((5, 3, 1), (5, 3, 1)),
        ((5, 6, 1), (5, 4, 1), (5, 4, 1), (3, 3, 1)),
        ((5, 4, 1), (3, 6, 1)),
        ((5, 6, 1), (5, 6, 1), (5, 6, 1), (5, 3, 1)),
        ((5, 6, 1), (5, 6, 1), (5, 6, 1), (3, 6, 1)),
    ),
    "f": (
        ((5, 3, 1), (5, 3, 1)),
        ((5, 6, 1), (5, 6, 1)),
        ((5, 6, 1), (5, 6, 1), (3, 3, 1), (3, 3, 1)),
        ((3, 6, 1), (5, 6, 1), (5, 6, 1), (3, 3, 1)),
        ((5, 6, 1), (5, 6, 1), (3, 6, 1), (3, 6, 1)),
    ),
}  # fmt: skip


def hardcorenas(name: str, table: Rows) -> Network:
    rows = [Stage(MBConv(3, 1, se=0, activation="relu"), layers=1, channels=16)]
    for place, (blocks, channels, stride) in enumerate(zip(table, CHANNELS, STRIDES, strict=True)):
        for (kernel, expand, gated), alike in groupby(blocks):
            block = MBConv(kernel, expand, SE if gated else 0, activation="relu" if place < 2 else None)
            rows.append(Stage(block, len(list(alike)), channels, stride))
            stride = 1
    return Network(
        name=f"hardcorenas-{name}",
        stem=Stage(ConvBlock(3), layers=1, channels=32, stride=2),
        stages=tuple(rows),
        head=Head(960, hidden=(1280,)),
        dropout=0.2,
        style=Style(activation="hard_swish", norm_decay=0.9, norm_eps=1e-5),
        inputs=Inputs(interpolation="bilinear"),
    )


NETWORKS = tuple(hardcorenas(*row) for row in TABLE.items())
