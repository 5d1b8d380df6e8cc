"""NASNet-A (Zoph et al. 2018, Figure 4 and Tables 2 and 3) and PNASNet-5 (Liu et al. 2018, Figure 1 and Table 5).

A stage's channels are the cell's filters. Depth scales the normal cells, reduction cells stay single.
"""

from dataclasses import replace

from compound.blocks import BareConv, Cell, Style
from compound.head import Head
from compound.network import Dimension, Inputs, Network, Stage

NORMAL = Cell(
    nodes=(
        # states  operations
        ((0, 1), ("separable-5x5", "separable-3x3")),
        ((1, 1), ("separable-5x5", "separable-3x3")),
        ((0, 1), ("average-3x3", "identity")),
        ((1, 1), ("average-3x3", "average-3x3")),
        ((0, 0), ("separable-3x3", "identity")),
    ),
    joined=(1, 2, 3, 4, 5, 6),
)
REDUCTION = Cell(
    nodes=(
        ((0, 1), ("separable-5x5", "separable-7x7")),
        ((0, 1), ("max-3x3", "separable-7x7")),
        ((0, 1), ("average-3x3", "separable-5x5")),
        ((3, 2), ("identity", "average-3x3")),
        ((2, 0), ("separable-3x3", "max-3x3")),
    ),
    joined=(3, 4, 5, 6),
)
PROGRESSIVE = Cell(
    nodes=(
        ((1, 1), ("separable-5x5", "max-3x3")),
        ((0, 0), ("separable-7x7", "max-3x3")),
        ((0, 0), ("separable-5x5", "separable-3x3")),
        ((4, 0), ("separable-3x3", "max-3x3")),
        ((1, 0), ("separable-3x3", "identity")),
    ),
    joined=(2, 3, 4, 5, 6),
)
# The reference code (tensorflow/models, slim): padding, batch norm, dropout, survival, and images from −1 to 1.
STYLE = Style(activation="relu", norm_decay=0.9997, norm_eps=1e-3, padding="same")
INPUTS = Inputs(mean=(0.5,), std=(0.5,))
SINGLE: tuple[Dimension, ...] = ("depth",)


def stacks(normal: Cell, reduction: Cell, between: Cell, layers: int, filters: int) -> tuple[Stage, ...]:
    """Two reductions as the stem, then three stacks of `layers` normal cells with `between` between them."""
    return (
        #     cell       layers  filters       stride
        Stage(reduction, 1,      filters // 4, 2, SINGLE),
        Stage(reduction, 1,      filters // 2, 2, SINGLE),
        Stage(normal,    layers, filters,      1),
        Stage(between,   1,      2 * filters,  2, SINGLE),
        Stage(normal,    layers, 2 * filters,  1),
        Stage(between,   1,      4 * filters,  2, SINGLE),
        Stage(normal,    layers, 4 * filters,  1),
    )  # fmt: skip


def nasnet(name: str, layers: int, filters: int, stem: int, resolution: int, keep: bool, survival: float) -> Network:
    """N @ filters: three stacks of N normal cells, a reduction between them; two reductions make the stem.

    In the large network the cell behind a reduction reads what the reduction read (`skip_reduction_layer_input`).
    """
    between = replace(REDUCTION, keep_previous=keep)
    return Network(
        name=name,
        stem=Stage(BareConv(3), layers=1, channels=stem, stride=2),
        stages=stacks(NORMAL, REDUCTION, between, layers, filters),
        head=Head(act=True),
        resolution=resolution,
        dropout=0.5,
        survival=survival,
        style=STYLE,
        inputs=INPUTS,
    )


def pnasnet(name: str, layers: int, filters: int, stem: int, resolution: int, survival: float) -> Network:
    """Three stacks of one kind of cell, the first of the second and third with stride 2; two more make the stem."""
    return Network(
        name=name,
        stem=Stage(BareConv(3), layers=1, channels=stem, stride=2),
        stages=(
            #     cell         layers  filters       stride
            Stage(PROGRESSIVE, 1,      filters // 4, 2, SINGLE),
            Stage(PROGRESSIVE, 1,      filters // 2, 2, SINGLE),
            Stage(PROGRESSIVE, layers, filters,      1),
            Stage(PROGRESSIVE, layers, 2 * filters,  2),
            Stage(PROGRESSIVE, layers, 4 * filters,  2),
        ),
        head=Head(act=True),
        resolution=resolution,
        dropout=0.5,
        survival=survival,
        style=STYLE,
        inputs=INPUTS,
    )  # fmt: skip


NETWORKS = (
    nasnet("nasnet-a-large", layers=6, filters=168, stem=96, resolution=331, keep=True, survival=0.7),
    nasnet("nasnet-a-mobile", layers=4, filters=44, stem=32, resolution=224, keep=False, survival=1.0),
    pnasnet("pnasnet-5-large", layers=4, filters=216, stem=96, resolution=331, survival=0.6),
    pnasnet("pnasnet-5-mobile", layers=3, filters=54, stem=32, resolution=224, survival=1.0),
)
ALIASES = {"NASNet-A": "nasnet-a-large", "PNASNet": "pnasnet-5-large"}  # Table 2 of the EfficientNet paper
