"""MobileNetV1 (Howard et al. 2017, Table 1) and MobileNetV2 (Sandler et al. 2018, Table 2)."""

from compound.blocks import ConvBlock, MBConv, Separable, Style
from compound.head import Head
from compound.network import Inputs, Network, Stage

RELU6 = Style(activation="relu6", norm_decay=0.9, norm_eps=1e-5)
BILINEAR = Inputs(interpolation="bilinear")

V1 = Network(
    name="mobilenet-v1",
    stem=Stage(ConvBlock(3), layers=1, channels=32, stride=2),
    stages=(
        #     operator      layers  channels  stride
        Stage(Separable(3), 1,        64,     1),
        Stage(Separable(3), 2,       128,     2),
        Stage(Separable(3), 2,       256,     2),
        Stage(Separable(3), 6,       512,     2),
        Stage(Separable(3), 2,      1024,     2),
    ),
    dropout=0.2,
    style=RELU6,
    inputs=BILINEAR,
)  # fmt: skip

V2 = Network(
    name="mobilenet-v2",
    stem=Stage(ConvBlock(3), layers=1, channels=32, stride=2),
    stages=(
        #     operator             layers  channels  stride
        Stage(MBConv(3, 1, se=0),  1,       16,      1),
        Stage(MBConv(3, 6, se=0),  2,       24,      2),
        Stage(MBConv(3, 6, se=0),  3,       32,      2),
        Stage(MBConv(3, 6, se=0),  4,       64,      2),
        Stage(MBConv(3, 6, se=0),  3,       96,      1),
        Stage(MBConv(3, 6, se=0),  3,      160,      2),
        Stage(MBConv(3, 6, se=0),  1,      320,      1),
    ),
    head=Head(1280),
    dropout=0.2,
    style=RELU6,
    inputs=BILINEAR,
)  # fmt: skip

NETWORKS = (V1, V2)
ALIASES = {"mobilenetv1_100": "mobilenet-v1", "mobilenetv2_100": "mobilenet-v2"}  # timm
