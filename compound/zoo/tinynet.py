"""TinyNet (Han et al. 2020, "Model Rubik's cube"): EfficientNet-B0 scaled down, resolution first."""

from dataclasses import replace

from compound.head import Head
from compound.network import Network
from compound.zoo.efficientnet import B0

# Layers are rounded to the nearest here and not up, and the stem keeps its channels; so the rows are written out.
# name: resolution, layers, channels of the stages
TABLE = {
    "a": (192, (1, 2, 2, 4, 4, 5, 1), (16, 24, 40, 80, 112, 192, 320)),
    "b": (188, (1, 2, 2, 3, 3, 4, 1), (16, 24, 32, 64,  88, 144, 240)),
    "c": (184, (1, 2, 2, 3, 3, 3, 1), ( 8, 16, 24, 40,  64, 104, 176)),
    "d": (152, (1, 1, 1, 2, 2, 3, 1), ( 8, 16, 24, 40,  64, 104, 176)),
    "e": (106, (1, 1, 1, 2, 2, 2, 1), ( 8, 16, 24, 40,  56,  96, 160)),
}  # fmt: skip


def tinynet(size: str, resolution: int, layers: tuple[int, ...], channels: tuple[int, ...]) -> Network:
    """B0 with the rows of TinyNet; head and regularisation stay B0's."""
    rows = zip(B0.stages, layers, channels, strict=True)
    stages = tuple(replace(row, layers=n, channels=c) for row, n, c in rows)
    return replace(B0, name=f"tinynet-{size}", stages=stages, resolution=resolution, head=Head(1280))


NETWORKS = tuple(tinynet(size, *row) for size, row in TABLE.items())
