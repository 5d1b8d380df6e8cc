"""MnasNet (Tan et al. 2019, Fig. 7): A1 with squeeze-excite, B1 without, and the small one of the official code."""

from compound.blocks import ConvBlock, MBConv, Style
from compound.head import Head
from compound.network import Network, Stage
from compound.scaling import Scaling, scale


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


def wide(network: Network, width: float) -> Network:
    """Section 5.3: the depth multiplier scales all but the head, which keeps its 1280 channels in the code."""
    return scale(network, Scaling(width=width), f"{network.name}-x{width:g}").with_(head=network.head)


NETWORKS = (
    A1,
    *(wide(A1, width) for width in (0.5, 0.75, 1.4)),
    B1,
    *(wide(B1, width) for width in (0.5, 0.75, 1.3, 1.4)),
    SMALL,
)
ALIASES = {  # timm, torchvision
    "semnasnet_050": "mnasnet-a1-x0.5",
    "semnasnet_075": "mnasnet-a1-x0.75",
    "semnasnet_100": "mnasnet-a1",
    "semnasnet_140": "mnasnet-a1-x1.4",
    "mnasnet_050": "mnasnet-b1-x0.5",
    "mnasnet_075": "mnasnet-b1-x0.75",
    "mnasnet_100": "mnasnet-b1",
    "mnasnet_140": "mnasnet-b1-x1.4",
    "mnasnet0_5": "mnasnet-b1-x0.5",
    "mnasnet0_75": "mnasnet-b1-x0.75",
    "mnasnet1_0": "mnasnet-b1",
    "mnasnet1_3": "mnasnet-b1-x1.3",
}
