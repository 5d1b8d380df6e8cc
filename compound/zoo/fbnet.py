"""FBNet-C (Wu et al. 2019, arXiv:1812.03443, Table 1 and Figure 4)."""

from compound.blocks import ConvBlock, MBConv, Style, UniversalMBConv
from compound.head import Head
from compound.network import Inputs, Network, Stage


def block(kernel: int, expand: float) -> MBConv:
    return MBConv(kernel, expand, se=0)


EVEN = UniversalMBConv(3, expand=1)  # its 1×1 convolution stands before the depthwise one without expanding, too

C = Network(
    name="fbnet-c",
    stem=Stage(ConvBlock(3), layers=1, channels=16, stride=2),
    stages=(
        #     operator     layers  channels  stride
        Stage(EVEN,        1,       16,      1),
        Stage(block(3, 6), 1,       24,      2),
        Stage(EVEN,        2,       24,      1),
        Stage(block(5, 6), 1,       32,      2),
        Stage(block(5, 3), 1,       32,      1),
        Stage(block(5, 6), 1,       32,      1),
        Stage(block(3, 6), 1,       32,      1),
        Stage(block(5, 6), 1,       64,      2),
        Stage(block(5, 3), 1,       64,      1),
        Stage(block(5, 6), 2,       64,      1),
        Stage(block(5, 6), 3,      112,      1),
        Stage(block(5, 3), 1,      112,      1),
        Stage(block(5, 6), 4,      184,      2),
        Stage(block(3, 6), 1,      352,      1),
    ),
    head=Head(1984),  # the paper prints 1504, the weights that exist have this many
    dropout=0.2,
    style=Style(activation="relu"),
    inputs=Inputs(interpolation="bilinear"),
)  # fmt: skip

NETWORKS = (C,)
ALIASES = {"fbnetc_100": "fbnet-c"}  # timm
