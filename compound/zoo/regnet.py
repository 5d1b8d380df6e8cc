"""RegNetX and RegNetY (Radosavovic et al. 2020, Section 3.3, Figs. 16 and 17; digits as in the official pycls).

The width of block j is linear, u_j = w_0 + w_a · j, then quantised to w_0 · w_m^s for whole s, to multiples of 8, and
to whole groups. Blocks of one width are a stage.
"""

import math
from collections.abc import Callable
from itertools import groupby

from compound.blocks import ConvBlock, Grouped, Style
from compound.network import Network, Stage
from compound.rounding import round_channels

Numbers = tuple[int, int, float, float, int]

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


# torchvision's own: widths become whole groups by EfficientNet's rule, never below 90 %.
X_ROUNDED = {"400mf": X["004"]}
Y_ROUNDED = {
    "800mf": Y["008"],
    "8gf": Y["080"],
    "128gf": (27, 456, 160.83, 2.52, 264),
}


def nearest(width: int, group: int) -> int:
    return round(width / group) * group


def stages(numbers: Numbers, se: float, rounded: Callable[[int, int], int] = nearest) -> tuple[Stage, ...]:
    """The rows that the five numbers stand for (Equations 2 to 4); `rounded` makes whole groups of a width."""
    depth, w_0, w_a, w_m, group_width = numbers
    steps = [round(math.log((w_0 + w_a * block) / w_0, w_m)) for block in range(depth)]
    rows = []
    for step, blocks in groupby(steps):
        width = round(w_0 * w_m**step / 8) * 8
        group = min(group_width, width)
        rows.append(Stage(Grouped(3, group, se), len(list(blocks)), rounded(width, group), stride=2))
    return tuple(rows)


def regnet(name: str, numbers: Numbers, se: float, rounded: Callable[[int, int], int] = nearest) -> Network:
    return Network(
        name=name,
        stem=Stage(ConvBlock(3), layers=1, channels=32, stride=2),
        stages=stages(numbers, se, rounded),
        style=Style(activation="relu", norm_decay=0.9, norm_eps=1e-5),
    )


NETWORKS = (
    *(regnet(f"regnetx-{size}", numbers, se=0) for size, numbers in X.items()),
    *(regnet(f"regnetx-{size}", numbers, se=0, rounded=round_channels) for size, numbers in X_ROUNDED.items()),
    *(regnet(f"regnety-{size}", numbers, se=0.25) for size, numbers in Y.items()),
    *(regnet(f"regnety-{size}", numbers, se=0.25, rounded=round_channels) for size, numbers in Y_ROUNDED.items()),
)
# torchvision. Without separators 1_6gf and 16gf are one name; the later is then meant.
ALIASES = {
    "regnet_x_800mf": "regnetx-008",
    "regnet_x_1_6gf": "regnetx-016",
    "regnet_x_3_2gf": "regnetx-032",
    "regnet_x_8gf": "regnetx-080",
    "regnet_x_16gf": "regnetx-160",
    "regnet_x_32gf": "regnetx-320",
    "regnet_y_400mf": "regnety-004",
    "regnet_y_1_6gf": "regnety-016",
    "regnet_y_3_2gf": "regnety-032",
    "regnet_y_16gf": "regnety-160",
    "regnet_y_32gf": "regnety-320",
}
