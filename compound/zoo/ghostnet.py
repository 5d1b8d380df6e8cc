"""GhostNet (Han et al. 2020, arXiv:1911.11907, Table 7)."""

from compound.blocks import ConvBlock, GhostBottleneck, SqueezeExcite, Style
from compound.head import Head
from compound.network import Network, Stage
from compound.rounding import round_channels

GATE = SqueezeExcite(0.25, of="expanded", divisor=4, activation="relu", gate="hard_sigmoid")
DIVISOR = 4

# kernel, expanded channels, channels, gate, layers, stride
TABLE = (
    (3,  16,  16, 0,    1, 1),
    (3,  48,  24, 0,    1, 2),
    (3,  72,  24, 0,    1, 1),
    (5,  72,  40, GATE, 1, 2),
    (5, 120,  40, GATE, 1, 1),
    (3, 240,  80, 0,    1, 2),
    (3, 200,  80, 0,    1, 1),
    (3, 184,  80, 0,    2, 1),
    (3, 480, 112, GATE, 1, 1),
    (3, 672, 112, GATE, 1, 1),
    (5, 672, 160, GATE, 1, 2),
    (5, 960, 160, 0,    1, 1),
    (5, 960, 160, GATE, 1, 1),
    (5, 960, 160, 0,    1, 1),
    (5, 960, 160, GATE, 1, 1),
)  # fmt: skip


def ghostnet(width: float) -> Network:
    """Section 4.2.1: channels, expanded ones too, are `width` times as many; the head keeps its 1280."""

    def wide(channels: int) -> int:
        return round_channels(channels * width, DIVISOR)

    rows, inp = [], wide(16)
    for kernel, expanded, channels, gate, layers, stride in TABLE:
        rows.append(Stage(GhostBottleneck(kernel, wide(expanded) / inp, gate), layers, wide(channels), stride))
        inp = rows[-1].channels
    return Network(
        name="ghostnet" if width == 1 else f"ghostnet-x{width:g}",
        stem=Stage(ConvBlock(3), layers=1, channels=wide(16), stride=2),
        stages=tuple(rows),
        head=Head(wide(960), hidden=(1280,)),
        dropout=0.2,
        style=Style(activation="relu", norm_decay=0.9, norm_eps=1e-5),
        divisor=DIVISOR,
    )


NETWORKS = tuple(map(ghostnet, (0.5, 1, 1.3)))
ALIASES = {"ghostnet_050": "ghostnet-x0.5", "ghostnet_100": "ghostnet", "ghostnet_130": "ghostnet-x1.3"}  # timm
