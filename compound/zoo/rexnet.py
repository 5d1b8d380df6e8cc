"""ReXNet (Han et al. 2021, "Rethinking channel dimensions for efficient model design", arXiv:2007.00992), V1.

Channels grow from block to block, by 180 over all of them. timm's `rexnetr` has them as multiples of eight, at the
width of 3 of sixteen.
"""

from compound.blocks import ConvBlock, SqueezeExcite, Style, WideningMBConv
from compound.head import Head
from compound.network import Network, Stage
from compound.rounding import round_channels

BLOCKS, STRIDED, GATED = 16, (1, 3, 5, 11), 3  # the blocks that stride, and the first with a gate
FIRST, GROWTH = 16, 180
WIDTHS = (1.0, 1.3, 1.5, 2.0, 3.0)
STYLE = Style(norm_decay=0.9, norm_eps=1e-5)


def rexnet(width: float, divisor: int) -> Network:
    """At `width`; channels are multiples of `divisor`."""
    se = SqueezeExcite(1 / 12, of="expanded", divisor=divisor, activation="relu", norm=True)
    rows = tuple(
        Stage(
            WideningMBConv(expand=6 if number else 1, se=se if number >= GATED else 0),
            layers=1,
            channels=round_channels(round((FIRST + GROWTH / BLOCKS * number) * width), divisor),
            stride=2 if number in STRIDED else 1,
        )
        for number in range(BLOCKS)
    )
    name = f"rexnet{'r' if divisor > 1 else ''}-{width:.1f}"
    stem = Stage(ConvBlock(3), 1, round_channels(round(32 * width), divisor), 2)
    head = Head(round_channels(1280 * width, divisor))
    return Network(name, stem, rows, head, dropout=0.2, style=STYLE, divisor=divisor)


NETWORKS = (*(rexnet(width, 1) for width in WIDTHS), *(rexnet(width, 8 if width < 3 else 16) for width in WIDTHS))
ALIASES = {
    f"rexnet{r}_{100 * width:.0f}": f"rexnet{r}-{width:.1f}" for r in ("", "r") for width in WIDTHS
}  # timm's spelling
