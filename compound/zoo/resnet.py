"""ResNet (He et al. 2016, Table 1) and its wider kin, stride on the 3×3 convolution as in torchvision and timm.

Wide ResNet (Zagoruyko & Komodakis 2016, Table 8) doubles the channels inside; ResNeXt (Xie et al. 2017, Table 1) splits
them into groups: 32x4d has 32 groups of 4 channels in the first stage.
"""

from dataclasses import replace

from compound.blocks import Basic, Block, Bottleneck, ConvBlock, DeepStem, SqueezeExcite, Style
from compound.network import Inputs, Network, Stage


def resnet(name: str, block: Block, layers: tuple[int, ...], channels: tuple[int, ...]) -> Network:
    return Network(
        name=name,
        stem=Stage(ConvBlock(7, pool=True), layers=1, channels=64, stride=2),
        stages=tuple(Stage(block, n, c, stride) for n, c, stride in zip(layers, channels, (1, 2, 2, 2), strict=True)),
        style=Style(activation="relu", norm_decay=0.9, norm_eps=1e-5),
        inputs=Inputs(interpolation="bilinear"),
    )


def resnet_d(name: str, block: Basic | Bottleneck, layers: tuple[int, ...], channels: tuple[int, ...]) -> Network:
    """Three 3×3 convolutions for the 7×7, and shortcuts that pool (He et al. 2019, Figure 2)."""
    plain = resnet(name, replace(block, pooled=True), layers, channels)
    return plain.with_(stem=replace(plain.stem, block=DeepStem(3), channels=64))


def resnet_rs(depth: int, layers: tuple[int, ...], resolution: int) -> Network:
    """ResNet-D with squeeze-excite, whose stem strides by a convolution (Bello et al. 2021, Table 5 and Figure 3)."""
    block = Bottleneck(se=SqueezeExcite(0.25, of="expanded", divisor=8), pooled=True)
    plain = resnet(f"resnet-rs-{depth}", block, layers, WIDE)
    conv = Stage(ConvBlock(3), 1, 32, fixed=("depth",))
    begin = (conv, replace(conv, channels=64), replace(conv, channels=64, stride=2))
    stem = replace(plain.stem, block=ConvBlock(3), channels=32)
    return plain.with_(stem=stem, stages=(*begin, *plain.stages), resolution=resolution, dropout=0.25)


NARROW, WIDE = (64, 128, 256, 512), (256, 512, 1024, 2048)

NETWORKS = (
    resnet("resnet-18", Basic(), (2, 2, 2, 2), NARROW),
    resnet("resnet-34", Basic(), (3, 4, 6, 3), NARROW),
    resnet("resnet-50", Bottleneck(), (3, 4, 6, 3), WIDE),
    resnet("resnet-101", Bottleneck(), (3, 4, 23, 3), WIDE),
    resnet("resnet-152", Bottleneck(), (3, 8, 36, 3), WIDE),
    resnet("resnet-200", Bottleneck(), (3, 24, 36, 3), WIDE),  # He et al. 2016b; pre-activation there
    resnet("wide-resnet-50-2", Bottleneck(reduce=2), (3, 4, 6, 3), WIDE),
    resnet("wide-resnet-101-2", Bottleneck(reduce=2), (3, 4, 23, 3), WIDE),
    resnet("resnext-50-32x4d", Bottleneck(reduce=2, groups=32), (3, 4, 6, 3), WIDE),
    resnet("resnext-101-32x4d", Bottleneck(reduce=2, groups=32), (3, 4, 23, 3), WIDE),
    resnet("resnext-101-32x8d", Bottleneck(reduce=1, groups=32), (3, 4, 23, 3), WIDE),
    resnet("resnext-101-64x4d", Bottleneck(reduce=1, groups=64), (3, 4, 23, 3), WIDE),
    resnet_d("resnet-18-d", Basic(), (2, 2, 2, 2), NARROW),
    resnet_d("resnet-26-d", Bottleneck(), (2, 2, 2, 2), WIDE),
    resnet_d("resnet-34-d", Basic(), (3, 4, 6, 3), NARROW),
    resnet_d("resnet-50-d", Bottleneck(), (3, 4, 6, 3), WIDE),
    resnet_d("resnet-101-d", Bottleneck(), (3, 4, 23, 3), WIDE),
    resnet_d("resnet-152-d", Bottleneck(), (3, 8, 36, 3), WIDE),
    resnet_d("resnet-200-d", Bottleneck(), (3, 24, 36, 3), WIDE),
    resnet_rs(50, (3, 4, 6, 3), 160),
    resnet_rs(101, (3, 4, 23, 3), 192),
    resnet_rs(152, (3, 8, 36, 3), 256),
    resnet_rs(200, (3, 24, 36, 3), 256),
    resnet_rs(270, (4, 29, 53, 4), 256),
    resnet_rs(350, (4, 36, 72, 4), 288),
    resnet_rs(420, (4, 44, 87, 4), 320),
)
ALIASES = {"ResNeXt-101": "resnext-101-64x4d"}  # Table 2 of the EfficientNet paper
