"""EfficientNetV2 (Tan & Le 2021, Table 4; B0 to B3, M, L and XL as in the official code), at evaluation resolution."""

from dataclasses import replace

from compound.blocks import ConvBlock, FusedMBConv, MBConv
from compound.head import Head
from compound.network import Inputs, Network, Stage
from compound.zoo.efficientnet import published

B0 = Network(
    name="efficientnetv2-b0",
    stem=Stage(ConvBlock(3), layers=1, channels=32, stride=2),
    stages=(
        #     operator                          layers  channels  stride
        Stage(FusedMBConv(kernel=3, expand=1),  1,       16,      1),
        Stage(FusedMBConv(kernel=3, expand=4),  2,       32,      2),
        Stage(FusedMBConv(kernel=3, expand=4),  2,       48,      2),
        Stage(MBConv(kernel=3, expand=4),       3,       96,      2),
        Stage(MBConv(kernel=3, expand=6),       5,      112,      1),
        Stage(MBConv(kernel=3, expand=6),       8,      192,      2),
    ),
    head=Head(1280),
    resolution=224,
    dropout=0.2,
    survival=0.8,
)  # fmt: skip

B3 = published(B0, "efficientnetv2-b3", 1.2, 1.4, 300, 0.3)

# FusedMBConv up to stage 3, MBConv after; expansion 1, 4, 4, 4 and then 6.
ROWS = tuple(zip((FusedMBConv,) * 3 + (MBConv,) * 4, (1, 4, 4, 4, 6, 6, 6), (1, 2, 2, 2, 1, 2, 1), strict=True))
# name: resolution, dropout, layers, channels of the stages
TABLE = {
    "s":  (384, 0.2, (2, 4, 4,  6,  9, 15),    (24, 48, 64, 128, 160, 256)),
    "m":  (480, 0.3, (3, 5, 5,  7, 14, 18, 5), (24, 48, 80, 160, 176, 304, 512)),
    "l":  (480, 0.4, (4, 7, 7, 10, 19, 25, 7), (32, 64, 96, 192, 224, 384, 640)),
    "xl": (512, 0.4, (4, 8, 8, 16, 24, 32, 8), (32, 64, 96, 192, 256, 512, 640)),
}  # fmt: skip


def larger(size: str, resolution: int, dropout: float, layers: tuple[int, ...], channels: tuple[int, ...]) -> Network:
    """S to XL: the stem has the channels of the first stage; the whole photo is seen."""
    rows = zip(ROWS, layers, channels, strict=False)  # S has no seventh stage
    return Network(
        name=f"efficientnetv2-{size}",
        stem=Stage(ConvBlock(3), layers=1, channels=channels[0], stride=2),
        stages=tuple(Stage(block(3, expand), n, c, stride) for (block, expand, stride), n, c in rows),
        head=Head(1280),
        resolution=resolution,
        dropout=dropout,
        survival=0.8,
        inputs=Inputs(mean=(0.5,), std=(0.5,), fit="crop" if size == "s" else "squash", margin=0),
    )


NETWORKS = (
    B0,
    published(B0, "efficientnetv2-b1", 1.0, 1.1, 240, 0.2),
    published(B0, "efficientnetv2-b2", 1.1, 1.2, 260, 0.3),
    # 1.2 · 16 rounds to 16: the code of V2 dropped the guard of 90 %, which would give 24.
    replace(B3, stages=(replace(B3.stages[0], channels=16), *B3.stages[1:])),
    *(larger(size, *row) for size, row in TABLE.items()),
)
