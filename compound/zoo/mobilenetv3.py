"""MobileNetV3 (Howard et al. 2019, Tables 1 and 2)."""

from dataclasses import replace

from compound.blocks import Block, ConvBlock, MBConv, SqueezeExcite, Style
from compound.head import Head
from compound.network import Inputs, Network, Stage
from compound.rounding import round_channels
from compound.scaling import Scaling, scale

SE = SqueezeExcite(0.25, of="expanded", divisor=8, activation="relu", gate="hard_sigmoid")


def relu(kernel: int, expand: float, se: SqueezeExcite | float = 0) -> Block:
    """The rows marked RE; all others have hard-swish."""
    return MBConv(kernel, expand, se, activation="relu")


def mobilenet_v3(name: str, stages: tuple[Stage, ...], channels: int, hidden: int) -> Network:
    return Network(
        name=name,
        stem=Stage(ConvBlock(3), layers=1, channels=16, stride=2),
        stages=stages,
        head=Head(channels, hidden=(hidden,)),
        dropout=0.2,
        style=Style(activation="hard_swish"),
        inputs=Inputs(interpolation="bilinear"),
    )


# The tables print channels inside (exp size); `expand` is their quotient with the input's, cut to three digits.
LARGE = mobilenet_v3("mobilenet-v3-large", (
    #     operator                layers  channels  stride
    Stage(relu(3, 1),             1,       16,      1),
    Stage(relu(3, 4),             1,       24,      2),
    Stage(relu(3, 3),             1,       24,      1),
    Stage(relu(5, 3, SE),         3,       40,      2),
    Stage(MBConv(3, 6, se=0),     1,       80,      2),
    Stage(MBConv(3, 2.5, se=0),   1,       80,      1),
    Stage(MBConv(3, 2.3, se=0),   2,       80,      1),
    Stage(MBConv(3, 6, SE),       2,      112,      1),
    Stage(MBConv(5, 6, SE),       3,      160,      2),
), channels=960, hidden=1280)  # fmt: skip

SMALL = mobilenet_v3("mobilenet-v3-small", (
    #     operator                layers  channels  stride
    Stage(relu(3, 1, SE),         1,       16,      2),
    Stage(relu(3, 4.5),           1,       24,      2),
    Stage(relu(3, 3.67),          1,       24,      1),
    Stage(MBConv(5, 4, SE),       1,       40,      2),
    Stage(MBConv(5, 6, SE),       2,       40,      1),
    Stage(MBConv(5, 3, SE),       2,       48,      1),
    Stage(MBConv(5, 6, SE),       3,       96,      2),
), channels=576, hidden=1024)  # fmt: skip


def wide(network: Network, width: float) -> Network:
    """Section 6.1.1: channels scale, the hidden layer of the head does not; inner channels are multiples of 8, too."""
    scaled = scale(network, Scaling(width=width), f"{network.name}-x{width:g}")
    rows, inp = [], scaled.stem.channels
    for row in scaled.stages:
        assert isinstance(row.block, MBConv)
        expand = round_channels(inp * row.block.expand) / inp
        rows.append(replace(row, block=replace(row.block, expand=expand)))
        inp = row.channels
    return scaled.with_(stages=tuple(rows), head=replace(scaled.head, hidden=network.head.hidden))


NETWORKS = (LARGE, wide(LARGE, 0.75), SMALL, wide(SMALL, 0.75))
ALIASES = {  # timm
    "mobilenetv3_large_075": "mobilenet-v3-large-x0.75",
    "mobilenetv3_large_100": "mobilenet-v3-large",
    "mobilenetv3_small_075": "mobilenet-v3-small-x0.75",
    "mobilenetv3_small_100": "mobilenet-v3-small",
}
