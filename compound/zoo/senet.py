"""Squeeze-and-excitation on ResNet and ResNeXt, and SENet-154 (Hu et al. 2018, Table 1 and appendix).

The gate's reduction is 16, of the channels it gates. Differs from the authors' Caffe networks as timm's does: the
stride sits on the 3×3 convolution and the first pooling is padded.
"""

from dataclasses import replace

from compound.blocks import Block, Bottleneck, DeepStem, HalvedBottleneck, SqueezeExcite
from compound.network import Network, Stage
from compound.zoo.resnet import WIDE, resnet

SE = SqueezeExcite(1 / 16, of="expanded")
RESNEXT = Bottleneck(reduce=2, groups=32, se=SE)


def senet(name: str, block: Block, layers: tuple[int, ...]) -> Network:
    return resnet(name, block, layers, WIDE)


SENET_154 = replace(
    senet("senet-154", HalvedBottleneck(reduce=1, groups=64, se=SE), (3, 8, 36, 3)),
    stem=Stage(DeepStem(3), layers=1, channels=128, stride=2),
    dropout=0.2,
)

NETWORKS = (
    senet("se-resnet-50", Bottleneck(se=SE), (3, 4, 6, 3)),
    senet("se-resnext-50-32x4d", RESNEXT, (3, 4, 6, 3)),
    senet("se-resnext-101-32x4d", RESNEXT, (3, 4, 23, 3)),
    SENET_154,
)
ALIASES = {"SENet": "senet-154"}  # Table 2 of the EfficientNet paper
