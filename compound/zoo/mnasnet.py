"""MnasNet (Tan et al. 2019, Fig. 7): A1 with squeeze-excite, B1 without, and the small one of the official code."""

from compound.blocks import ConvBlock, MBConv, Style
from compound.head import Head
from compound.network import Network, Stage


def mnasnet(name: str, stem: int, stages: tuple[Stage, ...]) -> Network:
    return Network(
        name=name,
        stem=Stage(ConvBlock(3), layers=1, channels=stem, stride=2),
        stages=stages,
        head=Head(1280),
        dropout=0.2,  # Section 5
        style=Style(activation="relu"),
    )


A1 = mnasnet("mnasnet-a1", 32, (
    #     operator                      layers  channels  stride
    Stage(MBConv(3, expand=1, se=0),    1,       16,      1),
    Stage(MBConv(3, expand=6, se=0),    2,       24,      2),
    Stage(MBConv(5, expand=3, se=0.25), 3,       40,      2),
    Stage(MBConv(3, expand=6, se=0),    4,       80,      2),
    Stage(MBConv(3, expand=6, se=0.25), 2,      112,      1),
    Stage(MBConv(5, expand=6, se=0.25), 3,      160,      2),
    Stage(MBConv(3, expand=6, se=0),    1,      320,      1),
))  # fmt: skip

B1 = mnasnet("mnasnet-b1", 32, (
    #     operator                      layers  channels  stride
    Stage(MBConv(3, expand=1, se=0),    1,       16,      1),
    Stage(MBConv(3, expand=3, se=0),    3,       24,      2),
    Stage(MBConv(5, expand=3, se=0),    3,       40,      2),
    Stage(MBConv(5, expand=6, se=0),    3,       80,      2),
    Stage(MBConv(3, expand=6, se=0),    2,       96,      1),
    Stage(MBConv(5, expand=6, se=0),    4,      192,      2),
    Stage(MBConv(3, expand=6, se=0),    1,      320,      1),
))  # fmt: skip

SMALL = mnasnet("mnasnet-small", 8, (
    #     operator                      layers  channels  stride
    Stage(MBConv(3, expand=1, se=0),    1,        8,      1),
    Stage(MBConv(3, expand=3, se=0),    1,       16,      2),
    Stage(MBConv(3, expand=6, se=0),    2,       16,      2),
    Stage(MBConv(5, expand=6, se=0.25), 4,       32,      2),
    Stage(MBConv(3, expand=6, se=0.25), 3,       32,      1),
    Stage(MBConv(5, expand=6, se=0.25), 3,       88,      2),
    Stage(MBConv(3, expand=6, se=0),    1,      144,      1),
))  # fmt: skip

NETWORKS = (A1, B1, SMALL)
ALIASES = {  # timm, torchvision
    "semnasnet_100": "mnasnet-a1",
    "mnasnet_100": "mnasnet-b1",
    "mnasnet1_0": "mnasnet-b1",
}
