"""ResNet (He et al. 2016, Table 1) and its wider kin, stride on the 3×3 convolution as in torchvision and timm.

Wide ResNet (Zagoruyko & Komodakis 2016, Table 8) doubles the channels inside; ResNeXt (Xie et al. 2017, Table 1) splits
them into groups: 32x4d has 32 groups of 4 channels in the first stage.
"""

from compound.blocks import Basic, Block, Bottleneck, ConvBlock, Style
from compound.network import Inputs, Network, Stage


def resnet(name: str, block: Block, layers: tuple[int, ...], channels: tuple[int, ...]) -> Network:
    return Network(
        name=name,
        stem=Stage(ConvBlock(7, pool=True), layers=1, channels=64, stride=2),
        stages=tuple(Stage(block, n, c, stride) for n, c, stride in zip(layers, channels, (1, 2, 2, 2), strict=True)),
        style=Style(activation="relu", norm_decay=0.9, norm_eps=1e-5),
        inputs=Inputs(interpolation="bilinear"),
    )


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
)
ALIASES = {"ResNeXt-101": "resnext-101-64x4d"}  # Table 2 of the EfficientNet paper
