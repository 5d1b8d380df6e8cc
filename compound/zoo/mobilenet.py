"""MobileNetV1 (Howard et al. 2017, Table 1) and MobileNetV2 (Sandler et al. 2018, Table 2)."""

from dataclasses import replace

from compound.blocks import ConvBlock, MBConv, Separable, Style
from compound.head import Head
from compound.network import Inputs, Network, Stage
from compound.scaling import Scaling, scale

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


def v1_wide(width: float) -> Network:
    """Table 7 of Howard et al. 2017: every layer is `width` times as wide."""
    return scale(V1, Scaling(width=width), f"mobilenet-v1-x{width:g}")


def v2_wide(width: float) -> Network:
    """Section 6.1 of Sandler et al. 2018: a head narrower than 1280 is not published."""
    wide = scale(V2, Scaling(width=width), f"mobilenet-v2-x{width:g}")
    return wide if width > 1 else wide.with_(head=V2.head)


def v2_deep(width: float, depth: float) -> Network:
    """timm's `mobilenetv2_110d` and `_120d`: deeper, too; stem, head and the layers of the outer stages stay."""
    deep = scale(V2, Scaling(depth, width), f"mobilenet-v2-x{width:g}d")
    first, *rows, last = deep.stages
    outer = (replace(first, layers=1), *rows, replace(last, layers=1))
    return deep.with_(stem=V2.stem, stages=outer, head=V2.head)


NETWORKS = (
    V1,
    *map(v1_wide, (0.25, 0.5, 0.75, 1.25)),
    V2,
    *map(v2_wide, (0.35, 0.5, 0.75, 1.4)),
    v2_deep(1.1, 1.2),
    v2_deep(1.2, 1.4),
)
ALIASES = {  # timm, and TensorFlow's checkpoints
    **{f"mobilenet_v1_{width:g}": f"mobilenet-v1-x{width:g}" for width in (0.25, 0.5, 0.75)},
    "mobilenet_v1_1.0": "mobilenet-v1",
    "mobilenetv1_050": "mobilenet-v1-x0.5",
    "mobilenetv1_100": "mobilenet-v1",
    "mobilenetv1_125": "mobilenet-v1-x1.25",
    "mobilenetv2_035": "mobilenet-v2-x0.35",
    "mobilenetv2_050": "mobilenet-v2-x0.5",
    "mobilenetv2_075": "mobilenet-v2-x0.75",
    "mobilenetv2_100": "mobilenet-v2",
    "mobilenetv2_110d": "mobilenet-v2-x1.1d",
    "mobilenetv2_120d": "mobilenet-v2-x1.2d",
    "mobilenetv2_140": "mobilenet-v2-x1.4",
}
