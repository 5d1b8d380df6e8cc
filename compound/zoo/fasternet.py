"""FasterNet (Chen et al. 2023, arXiv:2303.03667, Table 8 of the appendix), T0 to L."""

from compound.blocks import PartialConv, Patches, Style
from compound.head import Head
from compound.network import Network, Stage
from compound.ops import Function

# size: layers, channels of the first stage (each next one has twice as many), activation, survival
SIZES: dict[str, tuple[tuple[int, ...], int, Function, float]] = {
    "t0": ((1, 2,  8, 2),  40, "gelu", 1.0),
    "t1": ((1, 2,  8, 2),  64, "gelu", 0.98),
    "t2": ((1, 2,  8, 2),  96, "relu", 0.95),
    "s":  ((1, 2, 13, 2), 128, "relu", 0.9),
    "m":  ((3, 4, 18, 3), 144, "relu", 0.8),
    "l":  ((3, 4, 18, 3), 192, "relu", 0.7),
}  # fmt: skip


def fasternet(size: str, layers: tuple[int, ...], channels: int, activation: Function, survival: float) -> Network:
    rows = [(n, channels * 2**i, 2 if i else 1) for i, n in enumerate(layers)]
    return Network(
        name=f"fasternet-{size}",
        stem=Stage(Patches(bias=False), layers=1, channels=channels, stride=4),
        stages=tuple(Stage(PartialConv(), *row) for row in rows),
        head=Head(hidden=(1280,), hidden_bias=False),
        survival=survival,
        style=Style(activation, norm_decay=0.9, norm_eps=1e-5),
    )


NETWORKS = tuple(fasternet(size, *row) for size, row in SIZES.items())
