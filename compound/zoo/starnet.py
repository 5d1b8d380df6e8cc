"""StarNet (Ma et al. 2024, "Rewrite the stars", arXiv:2403.19967, Table 2 of the appendix; official code)."""

from compound.blocks import BareConv, ConvBlock, Style, Wire, Wired
from compound.head import Head
from compound.network import Network, Stage

# size: layers, channels of the first stage (each next one has twice as many), expansion
SIZES = {
    "s050": ((1, 1,  3, 1), 16, 3),
    "s100": ((1, 2,  4, 1), 20, 4),
    "s150": ((1, 2,  4, 2), 24, 3),
    "s1":   ((2, 2,  8, 3), 24, 4),
    "s2":   ((1, 2,  6, 2), 32, 4),
    "s3":   ((2, 2,  8, 4), 32, 4),
    "s4":   ((3, 3, 12, 5), 32, 4),
}  # fmt: skip


def star(channels: int) -> Wired:
    """Depthwise 7×7, then the product of two 1×1 convolutions to so many channels, of which one is activated."""
    wide, depthwise = Wire("conv", (2,), channels, bias=True), Wire("conv", kernel=7, groups=0, bias=True)
    product = (Wire("act", (3,)), Wire("multiply", (5, 4)))
    back = (Wire("conv", bias=True), Wire("norm"), depthwise, Wire("add", (9, 0)))
    return Wired((depthwise, Wire("norm"), wide, wide, *product, *back))


def starnet(size: str, layers: tuple[int, ...], first: int, expand: int) -> Network:
    rows: list[Stage] = []
    for number, n in enumerate(layers):
        channels = first * 2**number
        rows.append(Stage(BareConv(3, padding=None), 1, channels, 2, ("depth",)))
        rows.append(Stage(star(expand * channels), n, channels))
    stem = Stage(ConvBlock(3), layers=1, channels=32, stride=2)
    style = Style("relu6", norm_decay=0.9, norm_eps=1e-5, bias=True)
    return Network(f"starnet-{size}", stem, tuple(rows), Head(norm_pooled=True), style=style)


NETWORKS = tuple(starnet(size, *row) for size, row in SIZES.items())
