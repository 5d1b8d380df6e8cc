"""DenseNet-BC (Huang et al. 2017, Table 1), as in torchvision and timm; a stage's channels are its growth rate."""

from compound.blocks import ConvBlock, Dense, Style
from compound.head import Head
from compound.network import Inputs, Network, Stage


def densenet(name: str, growth: int, layers: tuple[int, ...]) -> Network:
    return Network(
        name=name,
        stem=Stage(ConvBlock(7, pool=True), layers=1, channels=2 * growth, stride=2),
        stages=tuple(Stage(Dense(), n, growth, stride) for n, stride in zip(layers, (1, 2, 2, 2), strict=True)),
        head=Head(norm=True),
        style=Style(activation="relu", norm_decay=0.9, norm_eps=1e-5),
        inputs=Inputs(interpolation="bilinear"),
    )


NETWORKS = (
    densenet("densenet-121", 32, (6, 12, 24, 16)),
    densenet("densenet-161", 48, (6, 12, 36, 24)),  # k = 48 of Fig. 3 and the official code
    densenet("densenet-169", 32, (6, 12, 32, 32)),
    densenet("densenet-201", 32, (6, 12, 48, 32)),
    densenet("densenet-264", 32, (6, 12, 64, 48)),
)
