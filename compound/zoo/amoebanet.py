"""AmoebaNet-A to -D (Real et al. 2019; cells of the reference code, tensorflow/tpu `amoeba_net/model_specs.py`).

`amoebanet-a-6-190` is the paper's (N, F) = (6, 190): three stacks of six normal cells, 190 filters in the first.
A stage's channels are the cell's filters. Depth scales the normal cells, reduction cells stay single.
"""

from compound.blocks import BareConv, Cell, Style
from compound.head import Head
from compound.network import Network, Stage
from compound.zoo.nasnet import INPUTS, stacks

# letter: normal cell, reduction cell; a line a node: the states it reads, and the operations on them
CELLS = {
    "a": (
        Cell(
            (
                ((0, 0), ("average-3x3", "max-3x3")),
                ((1, 1), ("separable-3x3", "identity")),
                ((0, 1), ("identity", "average-3x3")),
                ((0, 2), ("separable-3x3", "separable-5x5")),
                ((5, 0), ("average-3x3", "separable-3x3")),
            ),
            joined=(1, 3, 4, 6),
        ),
        Cell(
            (
                ((1, 0), ("separable-3x3", "average-3x3")),
                ((0, 2), ("max-3x3", "separable-7x7")),
                ((1, 0), ("max-3x3", "max-3x3")),
                ((4, 0), ("separable-3x3", "conv-1x7-7x1")),
                ((1, 0), ("average-3x3", "separable-7x7")),
            ),
            joined=(2, 3, 4, 5, 6),
        ),
    ),
    "b": (
        Cell(
            (
                ((1, 1), ("conv-1x1", "max-3x3")),
                ((1, 0), ("identity", "separable-3x3")),
                ((1, 0), ("conv-1x1", "separable-3x3")),
                ((2, 2), ("conv-1x1", "identity")),
                ((1, 5), ("average-3x3", "conv-1x1")),
            ),
            joined=(0, 3, 4, 6),
        ),
        Cell(
            (
                ((0, 0), ("max-2x2", "max-3x3")),
                ((2, 1), ("identity", "conv-3x3")),
                ((2, 2), ("dilated-5x5", "max-3x3")),
                ((3, 1), ("identity", "separable-3x3")),
                ((4, 3), ("average-3x3", "conv-1x1")),
            ),
            joined=(5, 6),
        ),
    ),
    "c": (
        Cell(
            (
                ((0, 0), ("average-3x3", "separable-3x3")),
                ((0, 0), ("identity", "separable-3x3")),
                ((2, 1), ("average-3x3", "separable-3x3")),
                ((0, 1), ("identity", "separable-3x3")),
                ((3, 0), ("average-3x3", "separable-3x3")),
            ),
            joined=(1, 2, 4, 5, 6),
        ),
        Cell(
            (
                ((0, 0), ("max-3x3", "max-3x3")),
                ((2, 0), ("separable-7x7", "separable-3x3")),
                ((0, 1), ("separable-7x7", "max-3x3")),
                ((4, 4), ("separable-5x5", "separable-5x5")),
                ((1, 1), ("max-3x3", "separable-3x3")),
            ),
            joined=(0, 2, 3, 4, 5, 6),
        ),
    ),
    "d": (
        Cell(
            (
                ((1, 1), ("conv-1x1", "max-3x3")),
                ((1, 0), ("identity", "conv-1x7-7x1")),
                ((0, 0), ("conv-1x1", "conv-1x7-7x1")),
                ((2, 2), ("max-3x3", "identity")),
                ((1, 5), ("average-3x3", "conv-1x1")),
            ),
            joined=(0, 3, 4, 6),
        ),
        Cell(
            (
                ((0, 0), ("max-2x2", "max-3x3")),
                ((2, 1), ("identity", "conv-3x3")),
                ((2, 2), ("conv-1x7-7x1", "max-3x3")),
                ((3, 1), ("identity", "max-2x2")),
                ((2, 3), ("average-3x3", "conv-1x1")),
            ),
            joined=(4, 5, 6),
        ),
    ),
}


def amoebanet(letter: str, layers: int, filters: int, resolution: int) -> Network:
    """(N, F): three stacks of N normal cells, a reduction between them; two reductions make the stem."""
    normal, reduction = CELLS[letter]
    return Network(
        name=f"amoebanet-{letter}-{layers}-{filters}",
        stem=Stage(BareConv(3), layers=1, channels=32, stride=2),
        stages=stacks(normal, reduction, reduction, layers, filters),
        head=Head(act=True),
        resolution=resolution,
        dropout=0.5,
        survival=0.7,
        style=Style(activation="relu", norm_decay=0.9997, norm_eps=1e-3, padding="same"),
        inputs=INPUTS,
    )


NETWORKS = (
    amoebanet("a", 6, 190, 331),
    amoebanet("a", 6, 448, 299),  # the printed 104B multiply-adds are those of 299 px
    amoebanet("b", 6, 512, 480),  # GPipe's "AmoebaNet-B (18, 512)" (Huang et al. 2019, Section 4)
    amoebanet("c", 6, 228, 331),
    amoebanet("d", 6, 256, 299),  # the reference code's own size
)
ALIASES = {
    "amoebanet-b-18-512": "amoebanet-b-6-512",  # GPipe counts normal cells, not cells a stack
    # Table 2 of the EfficientNet paper
    "GPipe": "amoebanet-b-6-512",
    "AmoebaNet-A": "amoebanet-a-6-190",
    "AmoebaNet-C": "amoebanet-c-6-228",
}
