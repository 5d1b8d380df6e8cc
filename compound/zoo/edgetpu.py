"""EfficientNet-EdgeTPU (Gupta & Tan 2019, "EfficientNet-EdgeTPU: creating accelerator-optimized neural networks")."""

from compound.blocks import ConvBlock, FusedMBConv, MBConv, Style
from compound.head import Head
from compound.network import Network, Stage
from compound.zoo.efficientnet import published

# Its 24 channels are expanded although 32 come in.
FIRST = FusedMBConv(kernel=3, expand=4, skip=False, of="output")

# No squeeze-excite and ReLU, for the accelerator's sake; official code, `edgetpu/efficientnet_edgetpu_builder.py`.
S = Network(
    name="efficientnet-edgetpu-s",
    stem=Stage(ConvBlock(3), layers=1, channels=32, stride=2),
    stages=(
        #     operator                           layers  channels  stride
        Stage(FIRST,                             1,       24,      1),
        Stage(FusedMBConv(kernel=3, expand=8),   2,       32,      2),
        Stage(FusedMBConv(kernel=3, expand=8),   4,       48,      2),
        Stage(MBConv(kernel=5, expand=8, se=0),  5,       96,      2),
        Stage(MBConv(kernel=5, expand=8, se=0),  4,      144,      1),
        Stage(MBConv(kernel=5, expand=8, se=0),  2,      192,      2),
    ),
    head=Head(1280),
    resolution=224,
    dropout=0.2,
    survival=0.8,
    style=Style(activation="relu"),
)  # fmt: skip

NETWORKS = (
    S,
    published(S, "efficientnet-edgetpu-m", 1.0, 1.1, 240, 0.2),
    published(S, "efficientnet-edgetpu-l", 1.2, 1.4, 300, 0.3),
)
ALIASES = {  # timm
    "efficientnet_es": "efficientnet-edgetpu-s",
    "efficientnet_em": "efficientnet-edgetpu-m",
    "efficientnet_el": "efficientnet-edgetpu-l",
}
