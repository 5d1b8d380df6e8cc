"""VGG (Simonyan & Zisserman 2015, Table 1: A, B, D, E), with and without batch norm, as in torchvision."""

from compound.blocks import ConvBlock, MaxPool, Style
from compound.head import Head
from compound.network import Inputs, Network, Stage

CHANNELS = (64, 128, 256, 512, 512)

# name: 3×3 convolutions between one pooling and the next
LAYERS = {
    "vgg-11": (1, 1, 2, 2, 2),
    "vgg-13": (2, 2, 2, 2, 2),
    "vgg-16": (2, 2, 3, 3, 3),
    "vgg-19": (2, 2, 4, 4, 4),
}


def vgg(name: str, layers: tuple[int, ...], norm: bool) -> Network:
    rows: list[Stage] = []
    for number, channels in zip((layers[0] - 1, *layers[1:]), CHANNELS, strict=True):  # the stem is the first of all
        if number:
            rows.append(Stage(ConvBlock(3), number, channels))
        rows.append(Stage(MaxPool(2), 1, channels, stride=2, fixed=("depth",)))
    return Network(
        name=name,
        stem=Stage(ConvBlock(3), layers=1, channels=64),
        stages=tuple(rows),
        head=Head(hidden=(4096, 4096), pool=7),
        dropout=0.5,
        style=Style(activation="relu", norm_decay=0.9, norm_eps=1e-5, norm="batch" if norm else "none", bias=True),
        inputs=Inputs(interpolation="bilinear"),
    )


NETWORKS = (
    *(vgg(name, layers, norm=False) for name, layers in LAYERS.items()),
    *(vgg(f"{name}-bn", layers, norm=True) for name, layers in LAYERS.items()),
)
