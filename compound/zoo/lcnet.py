"""PP-LCNet (Cui et al. 2021, arXiv:2109.15099, Table 1): MobileNetV1's blocks, MobileNetV3's gates."""

from compound.blocks import ConvBlock, Separable, SqueezeExcite, Style
from compound.head import Head
from compound.network import Network, Stage
from compound.rounding import round_channels

GATE = SqueezeExcite(0.25, of="expanded", activation="relu", gate="hard_sigmoid")
# block, layers, channels, stride
TABLE = (
    (Separable(3),          1,  32, 1),
    (Separable(3),          2,  64, 2),
    (Separable(3),          2, 128, 2),
    (Separable(3),          1, 256, 2),
    (Separable(5),          5, 256, 1),
    (Separable(5, se=GATE), 2, 512, 2),
)  # fmt: skip


def lcnet(width: float) -> Network:
    return Network(
        name=f"lcnet-x{width:g}",
        stem=Stage(ConvBlock(3), layers=1, channels=round_channels(16 * width, 8), stride=2),
        stages=tuple(Stage(block, n, round_channels(c * width, 8), stride) for block, n, c, stride in TABLE),
        head=Head(hidden=(1280,)),
        dropout=0.2,
        style=Style(activation="hard_swish", norm_decay=0.9, norm_eps=1e-5),
    )


WIDTHS = (0.35, 0.5, 0.75, 1, 1.5)
NETWORKS = tuple(lcnet(width) for width in WIDTHS)
ALIASES = {f"lcnet_{round(100 * width):03}": network.name for width, network in zip(WIDTHS, NETWORKS, strict=True)}
