"""SqueezeNet (Iandola et al. 2016, Table 1) and its version 1.1 of 2.4 times fewer multiply-adds, as in torchvision."""

from compound.blocks import ConvBlock, Fire, MaxPool, Style
from compound.head import Head
from compound.network import Dimension, Inputs, Network, Stage

ONCE: tuple[Dimension, ...] = ("depth",)
HEAD = Head(classify_maps=True)
STYLE = Style(activation="relu", norm="none")
BILINEAR = Inputs(interpolation="bilinear")

V10 = Network(
    name="squeezenet-1.0",
    stem=Stage(ConvBlock(7, padding="valid"), layers=1, channels=96, stride=2),
    stages=(
        #     operator               layers  channels  stride
        Stage(MaxPool(3, ceil=True), 1,       96,      2, ONCE),
        Stage(Fire(squeeze=16),      2,      128,      1),
        Stage(Fire(squeeze=32),      1,      256,      1),
        Stage(MaxPool(3, ceil=True), 1,      256,      2, ONCE),
        Stage(Fire(squeeze=32),      1,      256,      1),
        Stage(Fire(squeeze=48),      2,      384,      1),
        Stage(Fire(squeeze=64),      1,      512,      1),
        Stage(MaxPool(3, ceil=True), 1,      512,      2, ONCE),
        Stage(Fire(squeeze=64),      1,      512,      1),
    ),
    head=HEAD,
    dropout=0.5,
    style=STYLE,
    inputs=BILINEAR,
)  # fmt: skip

V11 = Network(
    name="squeezenet-1.1",
    stem=Stage(ConvBlock(3, padding="valid"), layers=1, channels=64, stride=2),
    stages=(
        #     operator               layers  channels  stride
        Stage(MaxPool(3, ceil=True), 1,       64,      2, ONCE),
        Stage(Fire(squeeze=16),      2,      128,      1),
        Stage(MaxPool(3, ceil=True), 1,      128,      2, ONCE),
        Stage(Fire(squeeze=32),      2,      256,      1),
        Stage(MaxPool(3, ceil=True), 1,      256,      2, ONCE),
        Stage(Fire(squeeze=48),      2,      384,      1),
        Stage(Fire(squeeze=64),      2,      512,      1),
    ),
    head=HEAD,
    dropout=0.5,
    style=STYLE,
    inputs=BILINEAR,
)  # fmt: skip

NETWORKS = (V10, V11)
