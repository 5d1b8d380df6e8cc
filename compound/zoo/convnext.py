"""ConvNeXt (Liu et al. 2022, Section 3) and ConvNeXt V2 (Woo et al. 2023, Section 4), with the small sizes of both."""

from compound.blocks import ConvNext, Patches, Style
from compound.head import Head
from compound.network import Network, Stage

# size: layers, channels of the first stage (each next one has twice as many), survival as in V1's Table 5, else 0.9
SIZES = {
    "atto":   ((2, 2,  6, 2),  40, 0.9),
    "femto":  ((2, 2,  6, 2),  48, 0.9),
    "pico":   ((2, 2,  6, 2),  64, 0.9),
    "nano":   ((2, 2,  8, 2),  80, 0.9),
    "tiny":   ((3, 3,  9, 3),  96, 0.9),
    "small":  ((3, 3, 27, 3),  96, 0.6),
    "base":   ((3, 3, 27, 3), 128, 0.5),
    "large":  ((3, 3, 27, 3), 192, 0.5),
    "xlarge": ((3, 3, 27, 3), 256, 0.5),
}  # fmt: skip


def convnext(name: str, block: ConvNext, layers: tuple[int, ...], channels: int, survival: float) -> Network:
    rows = [(n, channels * 2**i, 2 if i else 1) for i, n in enumerate(layers)]
    return Network(
        name=name,
        stem=Stage(Patches(), layers=1, channels=channels, stride=4),
        stages=tuple(Stage(block, *row) for row in rows),
        head=Head(norm_pooled=True),
        survival=survival,
        style=Style("gelu", norm_eps=1e-6, norm="layer"),
    )


V2 = ConvNext(scale=0, responses=True)

NETWORKS = (
    *(convnext(f"convnext-{size}", ConvNext(), *row) for size, row in SIZES.items()),
    *(convnext(f"convnextv2-{size}", V2, *SIZES[size]) for size in SIZES if size not in ("small", "xlarge")),
    convnext("convnextv2-huge", V2, (3, 3, 27, 3), 352, 0.7),
)
