"""AlexNet on one device (Krizhevsky 2014, "One weird trick", footnote 1), as in torchvision."""

from compound.blocks import ConvBlock, MaxPool, Style
from compound.head import Head
from compound.network import Dimension, Inputs, Network, Stage

ONCE: tuple[Dimension, ...] = ("depth",)

ALEXNET = Network(
    name="alexnet",
    stem=Stage(ConvBlock(11, padding=2), layers=1, channels=64, stride=4),
    stages=(
        #     operator      layers  channels  stride
        Stage(MaxPool(3),   1,       64,      2, ONCE),
        Stage(ConvBlock(5), 1,      192,      1),
        Stage(MaxPool(3),   1,      192,      2, ONCE),
        Stage(ConvBlock(3), 1,      384,      1),
        Stage(ConvBlock(3), 2,      256,      1),
        Stage(MaxPool(3),   1,      256,      2, ONCE),
    ),
    head=Head(hidden=(4096, 4096), pool=6),
    dropout=0.5,  # of the hidden layers' outputs, as in Section 4.2 of the 2012 paper; torchvision's is of their inputs
    style=Style(activation="relu", norm="none"),
    inputs=Inputs(interpolation="bilinear"),
)  # fmt: skip

NETWORKS = (ALEXNET,)
