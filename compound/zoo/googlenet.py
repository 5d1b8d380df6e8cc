"""GoogLeNet (Szegedy et al. 2015, Table 1) without auxiliary classifiers, as in torchvision.

It differs from the paper, because all weights there are do: batch norm instead of response normalisation, and 3×3
where the paper has 5×5 (github.com/pytorch/vision/issues/906).
"""

from compound.blocks import Branch, ConvBlock, Inception, MaxPool, Style
from compound.network import Dimension, Inputs, Network, Stage


def module(one: int, three: tuple[int, int], five: tuple[int, int]) -> Inception:
    """1×1 | 1×1, 3×3 | 1×1, "5×5" | max pooling, 1×1; the pooled branch has what the others leave of the stage."""
    return Inception((
        Branch(((1, one),)),
        Branch(((1, three[0]), (3, three[1]))),
        Branch(((1, five[0]), (3, five[1]))),
        Branch(((1, 0),), pool="max"),
    ))  # fmt: skip


ONCE: tuple[Dimension, ...] = ("depth",)

GOOGLENET = Network(
    name="googlenet",
    stem=Stage(ConvBlock(7), layers=1, channels=64, stride=2),
    stages=(
        #     operator    1×1   3×3         5×5                  layers  channels  stride
        Stage(MaxPool(3, ceil=True),                              1,        64,     2, ONCE),
        Stage(ConvBlock(1),                                       1,        64,     1),
        Stage(ConvBlock(3),                                       1,       192,     1),
        Stage(MaxPool(3, ceil=True),                              1,       192,     2, ONCE),
        Stage(module( 64, ( 96, 128), (16,  32)),      1,       256,     1),
        Stage(module(128, (128, 192), (32,  96)),      1,       480,     1),
        Stage(MaxPool(3, ceil=True),                              1,       480,     2, ONCE),
        Stage(module(192, ( 96, 208), (16,  48)),      1,       512,     1),
        Stage(module(160, (112, 224), (24,  64)),      1,       512,     1),
        Stage(module(128, (128, 256), (24,  64)),      1,       512,     1),
        Stage(module(112, (144, 288), (32,  64)),      1,       528,     1),
        Stage(module(256, (160, 320), (32, 128)),      1,       832,     1),
        Stage(MaxPool(2, ceil=True),                              1,       832,     2, ONCE),
        Stage(module(256, (160, 320), (32, 128)),      1,       832,     1),
        Stage(module(384, (192, 384), (48, 128)),      1,      1024,     1),
    ),
    dropout=0.2,  # torchvision's; the paper's is 0.4
    style=Style(activation="relu", norm_decay=0.9, norm_eps=1e-3),
    inputs=Inputs(mean=(0.5,), std=(0.5,), interpolation="bilinear"),  # of torchvision's weights
)  # fmt: skip

NETWORKS = (GOOGLENET,)
ALIASES = {"inception-v1": "googlenet"}
