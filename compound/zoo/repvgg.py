"""RepVGG (Ding et al. 2021, Tables 2 and 3; D2se: official code) and MobileOne (Vasu et al. 2023, Tables 2 and 3).

Parameters and multiply-adds are counted as the papers print them: folded, one convolution is left of each sum.
"""

from compound.blocks import Block, MobileOne, RepVgg, SqueezeExcite, Style
from compound.network import Network, Stage

CHANNELS = (64, 128, 256, 512)
STYLE = Style(activation="relu", norm_decay=0.9, norm_eps=1e-5)
SIXTEENTH = SqueezeExcite(1 / 16, of="expanded")

# name: layers, width factors
REPVGG = {
    "a0": ((2,  4, 14, 1), (0.75, 0.75, 0.75, 2.5)),
    "a1": ((2,  4, 14, 1), (1,    1,    1,    2.5)),
    "a2": ((2,  4, 14, 1), (1.5,  1.5,  1.5,  2.75)),
    "b0": ((4,  6, 16, 1), (1,    1,    1,    2.5)),
    "b1": ((4,  6, 16, 1), (2,    2,    2,    4)),
    "b2": ((4,  6, 16, 1), (2.5,  2.5,  2.5,  5)),
    "b3": ((4,  6, 16, 1), (3,    3,    3,    5)),
    "d2se": ((8, 14, 24, 1), (2.5, 2.5, 2.5,  5)),
}  # fmt: skip

# name: width factors, branches of convolutions, layers with squeeze-excite at the end of each stage
MOBILE_ONE = {
    "s0": ((0.75, 1.0, 1.0, 2.0), 4, (0, 0, 0, 0)),
    "s1": ((1.5,  1.5, 2.0, 2.5), 1, (0, 0, 0, 0)),
    "s2": ((1.5,  2.0, 2.5, 4.0), 1, (0, 0, 0, 0)),
    "s3": ((2.0,  2.5, 3.0, 4.0), 1, (0, 0, 0, 0)),
    "s4": ((3.0,  3.5, 3.5, 4.0), 1, (0, 0, 5, 1)),
}  # fmt: skip


def widths(factors: tuple[float, ...]) -> list[int]:
    return [int(channels * factor) for channels, factor in zip(CHANNELS, factors, strict=True)]


def repvgg(name: str, layers: tuple[int, ...], factors: tuple[float, ...]) -> Network:
    block = RepVgg(se=SIXTEENTH if name.endswith("se") else 0)
    rows = [Stage(block, n, c, stride=2) for n, c in zip(layers, widths(factors), strict=True)]
    stem = Stage(block, layers=1, channels=min(64, rows[0].channels), stride=2)
    return Network(f"repvgg-{name}", stem, tuple(rows), style=STYLE)


def mobile_one(name: str, factors: tuple[float, ...], convs: int, gated: tuple[int, ...]) -> Network:
    rows = []
    for layers, channels, last in zip((2, 8, 10, 1), widths(factors), gated, strict=True):
        blocks: list[tuple[Block, int]] = [(MobileOne(convs=convs), layers - last)]
        blocks.append((MobileOne(convs=convs, se=SIXTEENTH), last))
        kept = [(block, count) for block, count in blocks if count]
        rows += [Stage(block, n, channels, 1 if i else 2) for i, (block, n) in enumerate(kept)]
    stem = Stage(RepVgg(), layers=1, channels=min(64, rows[0].channels), stride=2)
    return Network(f"mobileone-{name}", stem, tuple(rows), style=STYLE)


NETWORKS = (
    *(repvgg(name, *row) for name, row in REPVGG.items()),
    *(mobile_one(name, *row) for name, row in MOBILE_ONE.items()),
)
