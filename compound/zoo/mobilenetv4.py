"""MobileNetV4, the convolutional models (Qin et al. 2024, Tables 11 to 13)."""

from compound.blocks import Block, ConvBlock, FusedMBConv, Style, UniversalMBConv
from compound.head import Head
from compound.network import Network, Stage

FUSED = Stage(FusedMBConv(3, expand=4), layers=1, channels=48, stride=2)

Row = tuple[int, int, float, int]  # kernel before the expansion, kernel within it, expansion, layers


def conv(kernel: int, channels: int, stride: int = 1) -> Stage:
    return Stage(ConvBlock(kernel), 1, channels, stride)


def stage(channels: int, *rows: Row) -> tuple[Stage, ...]:
    """Blocks on `channels`; the first halves the map."""
    blocks: list[tuple[Block, int]] = [(UniversalMBConv(within, before, e), n) for before, within, e, n in rows]
    return tuple(Stage(block, n, channels, 1 if i else 2) for i, (block, n) in enumerate(blocks))


def mobilenet_v4(size: str, stem: int, stages: tuple[Stage, ...], resolution: int) -> Network:
    return Network(
        name=f"mobilenet-v4-conv-{size}",
        stem=Stage(ConvBlock(3), layers=1, channels=stem, stride=2),
        stages=stages,
        head=Head(960, hidden=(1280,), norm_hidden=True),
        resolution=resolution,
        dropout=0.2,
        style=Style(activation="relu", norm_decay=0.9, norm_eps=1e-5),
    )


SMALL = (
    conv(3, 32, stride=2),
    conv(1, 32),
    conv(3, 96, stride=2),
    conv(1, 64),
    *stage(96, (5, 5, 3, 1), (0, 3, 2, 4), (3, 0, 4, 1)),
    *stage(128, (3, 3, 6, 1), (5, 5, 4, 1), (0, 5, 4, 1), (0, 5, 3, 1), (0, 3, 4, 2)),
)
MEDIUM = (
    FUSED,
    *stage(80, (3, 5, 4, 1), (3, 3, 2, 1)),
    *stage(160, (3, 5, 6, 1), (3, 3, 4, 2), (3, 5, 4, 1), (3, 3, 4, 1), (3, 0, 4, 1), (0, 0, 2, 1), (3, 0, 4, 1)),
    *stage(
        256, (5, 5, 6, 1), (5, 5, 4, 1), (3, 5, 4, 2), (0, 0, 4, 1), (3, 0, 4, 1), (3, 5, 2, 1), (5, 5, 4, 1),
        (0, 0, 4, 2), (5, 0, 2, 1),
    ),
)  # fmt: skip
LARGE = (
    FUSED,
    *stage(96, (3, 5, 4, 1), (3, 3, 4, 1)),
    *stage(192, (3, 5, 4, 1), (3, 3, 4, 3), (3, 5, 4, 1), (5, 3, 4, 5), (3, 0, 4, 1)),
    *stage(
        512, (5, 5, 4, 4), (5, 0, 4, 1), (5, 3, 4, 1), (5, 0, 4, 2), (5, 3, 4, 1), (5, 5, 4, 1), (5, 0, 4, 3),
    ),
)  # fmt: skip

NETWORKS = (
    mobilenet_v4("small", 32, SMALL, 224),
    mobilenet_v4("medium", 32, MEDIUM, 256),
    mobilenet_v4("large", 24, LARGE, 384),
)
