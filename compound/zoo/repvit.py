"""RepViT (Wang et al. 2024, arXiv:2307.09283, Table 9 of the appendix; official code), with one classifier.

The published weights have two classifiers, of which one learned from a teacher; a network of one is what is scaled.
"""

from typing import Literal

from compound.blocks import BareConv, ConvBlock, MBConv, RepVit, SqueezeExcite, Style, UniversalMBConv
from compound.head import Head
from compound.network import Network, Stage

# size: layers, channels of the first stage (each next one has twice as many)
SIZES = {
    "m0.9": ((2, 2, 14, 2), 48),
    "m1.0": ((2, 2, 14, 2), 56),
    "m1.1": ((2, 2, 12, 2), 64),
    "m1.5": ((4, 4, 24, 4), 64),
    "m2.3": ((6, 6, 34, 2), 80),
}
ONCE: tuple[Literal["depth"], ...] = ("depth",)
GATED = RepVit(se=SqueezeExcite(0.25, of="expanded", divisor=8, activation="relu"), every=2)
DOWN = MBConv(3, 1, se=0, activation="identity")
FEED_FORWARD = UniversalMBConv(kernel=0, expand=2)


def repvit(size: str, layers: tuple[int, ...], channels: int) -> Network:
    rows = [Stage(BareConv(3, padding=None), 1, channels, stride=2, fixed=ONCE)]
    for number, (n, c) in enumerate((n, channels * 2**i) for i, n in enumerate(layers)):
        if number:
            rows += [
                Stage(RepVit(), 1, c // 2, fixed=ONCE),
                Stage(DOWN, 1, c, stride=2, fixed=ONCE),
                Stage(FEED_FORWARD, 1, c, fixed=ONCE),
            ]
        rows.append(Stage(GATED, n, c))
    stem = Stage(ConvBlock(3), layers=1, channels=channels // 2, stride=2)
    style = Style("gelu", norm_decay=0.9, norm_eps=1e-5)
    return Network(f"repvit-{size}", stem, tuple(rows), Head(norm_pooled=True), style=style)


NETWORKS = tuple(repvit(size, *row) for size, row in SIZES.items())
OTHERS = {
    f"repvit_{size.replace('.', '_')}": f"timm's has two classifiers; did you mean 'repvit-{size}', which has one?"
    for size in SIZES
}
