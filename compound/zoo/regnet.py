"""RegNetX and RegNetY (Radosavovic et al. 2020, Section 3.3, Figs. 16 and 17; digits as in the official pycls).

The width of block j is linear, u_j = w_0 + w_a · j, then quantised to w_0 · w_m^s for whole s, to multiples of 8, and
to whole groups. Blocks of one width are a stage.
"""

import math
from itertools import groupby

from compound.blocks import ConvBlock, Grouped, Style
from compound.network import Network, Stage

# RegNetX-200MF is 002. depth d, w_0, w_a, w_m, group width
X = {
    "002": (13,  24, 36.44, 2.49,   8),
    "004": (22,  24, 24.48, 2.54,  16),
    "006": (16,  48, 36.97, 2.24,  24),
    "008": (16,  56, 35.73, 2.28,  16),
    "016": (18,  80, 34.01, 2.25,  24),
    "032": (25,  88, 26.31, 2.25,  48),
    "040": (23,  96, 38.65, 2.43,  40),
    "064": (17, 184, 60.83, 2.07,  56),
    "080": (23,  80, 49.56, 2.88, 120),
    "120": (19, 168, 73.36, 2.37, 112),
    "160": (22, 216, 55.59, 2.10, 128),
    "320": (23, 320, 69.86, 2.00, 168),
}  # fmt: skip
Y = {
    "002": (13,  24,  36.44, 2.49,   8),
    "004": (16,  48,  27.89, 2.09,   8),
    "006": (15,  48,  32.54, 2.32,  16),
    "008": (14,  56,  38.84, 2.40,  16),
    "016": (27,  48,  20.71, 2.65,  24),
    "032": (21,  80,  42.63, 2.66,  24),
    "040": (22,  96,  31.41, 2.24,  64),
    "064": (25, 112,  33.22, 2.27,  72),
    "080": (17, 192,  76.82, 2.19,  56),
    "120": (19, 168,  73.36, 2.37, 112),
    "160": (18, 200, 106.23, 2.48, 112),
    "320": (20, 232, 115.89, 2.53, 232),
}  # fmt: skip


def stages(depth: int, w_0: int, w_a: float, w_m: float, group_width: int, se: float) -> tuple[Stage, ...]:
    """The rows that the five numbers stand for (Equations 2 to 4)."""
    steps = [round(math.log((w_0 + w_a * block) / w_0, w_m)) for block in range(depth)]
    rows = []
    for step, blocks in groupby(steps):
        width = round(w_0 * w_m**step / 8) * 8
        group = min(group_width, width)
        rows.append(Stage(Grouped(3, group, se), len(list(blocks)), round(width / group) * group, stride=2))
    return tuple(rows)


def regnet(name: str, numbers: tuple[int, int, float, float, int], se: float) -> Network:
    return Network(
        name=name,
        stem=Stage(ConvBlock(3), layers=1, channels=32, stride=2),
        stages=stages(*numbers, se),
        style=Style(activation="relu", norm_decay=0.9, norm_eps=1e-5),
    )


NETWORKS = (
    *(regnet(f"regnetx-{size}", numbers, se=0) for size, numbers in X.items()),
    *(regnet(f"regnety-{size}", numbers, se=0.25) for size, numbers in Y.items()),
)
# torchvision. Its 400MF of X and its 800MF and 8GF of Y have other widths; 1_6gf and 16gf differ in punctuation only.
ALIASES = {
    "regnet_x_800mf": "regnetx-008",
    "regnet_x_8gf": "regnetx-080",
    "regnet_y_400mf": "regnety-004",
}
