"""Xception (Chollet 2017, Fig. 5). Norms as in timm's port (ε 1e-5); Keras has 1e-3."""

from compound.blocks import ConvBlock, Separable, Style, Xception
from compound.network import Inputs, Network, Stage

XCEPTION = Network(
    name="xception",
    stem=Stage(ConvBlock(3, padding="valid"), layers=1, channels=32, stride=2),
    stages=(
        #     operator                               layers  channels  stride
        Stage(ConvBlock(3, padding="valid"),         1,        64,     1, fixed=("depth",)),
        Stage(Xception(repeats=2, act_first=False),  1,       128,     2, fixed=("depth",)),
        Stage(Xception(repeats=2),                   1,       256,     2),
        Stage(Xception(repeats=2),                   1,       728,     2),
        Stage(Xception(),                            8,       728,     1),
        Stage(Xception(repeats=2, grow="last"),      1,      1024,     2, fixed=("depth",)),
        # The blocks add without an activation, so only a bare separable convolution may come after the last.
        Stage(Separable(bare=True),                  1,      1536,     1, fixed=("depth",)),
        Stage(Separable(bare=True),                  1,      2048,     1, fixed=("depth",)),
    ),
    resolution=299,
    dropout=0.5,  # Section 4.3
    style=Style(activation="relu", norm_decay=0.9, norm_eps=1e-5),
    inputs=Inputs(mean=(0.5,), std=(0.5,), margin=34),  # 333 px cut to 299, as timm
)  # fmt: skip

NETWORKS = (XCEPTION,)
ALIASES = {"legacy_xception": XCEPTION.name}
