"""ShuffleNetV1 (Zhang et al. 2018, Table 1, three groups), ShuffleNetV2 (Ma et al. 2018, Table 5; torchvision)."""

from compound.blocks import ConvBlock, ShuffleV1, ShuffleV2, Style
from compound.head import Head
from compound.network import Inputs, Network, Stage

STEM = Stage(ConvBlock(3, pool=True), layers=1, channels=24, stride=2)
STYLE = Style(activation="relu", norm_decay=0.9, norm_eps=1e-5)
BILINEAR = Inputs(interpolation="bilinear")

V1 = Network(
    name="shufflenet-v1-g3",
    stem=STEM,
    stages=(
        #     operator                                layers  channels  stride
        Stage(ShuffleV1(groups=3, group_entry=False), 4,      240,      2),
        Stage(ShuffleV1(groups=3),                    8,      480,      2),
        Stage(ShuffleV1(groups=3),                    4,      960,      2),
    ),
    style=STYLE,
    inputs=BILINEAR,
    divisor=12,  # three groups of the quarter of the channels inside a block
)  # fmt: skip


def v2(name: str, channels: tuple[int, int, int], last: int = 1024) -> Network:
    return Network(
        name=name,
        stem=STEM,
        stages=tuple(Stage(ShuffleV2(), n, c, 2) for n, c in zip((4, 8, 4), channels, strict=True)),
        head=Head(last),
        style=STYLE,
        inputs=BILINEAR,
    )


NETWORKS = (
    V1,
    v2("shufflenet-v2-x0.5", (48, 96, 192)),
    v2("shufflenet-v2-x1.0", (116, 232, 464)),
    v2("shufflenet-v2-x1.5", (176, 352, 704)),
    v2("shufflenet-v2-x2.0", (244, 488, 976), 2048),
)
ALIASES = {"shufflenet-v1": "shufflenet-v1-g3", "shufflenet-v2": "shufflenet-v2-x1.0"}
