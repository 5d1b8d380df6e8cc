"""NFNet-F0 (Brock et al. 2021, arXiv:2102.06171, Table 1 and Section 4), at its evaluation resolution."""

from compound.blocks import NormFree, SqueezeExcite, Style, TieredStem
from compound.head import Head
from compound.network import Inputs, Network, Stage

BLOCK = NormFree(se=SqueezeExcite(0.5, of="expanded", activation="relu"))

F0 = Network(
    name="nfnet-f0",
    stem=Stage(TieredStem(), layers=1, channels=128, stride=4),
    stages=(
        #     operator  layers  channels  stride
        Stage(BLOCK,    1,       256,     1),
        Stage(BLOCK,    2,       512,     2),
        Stage(BLOCK,    6,      1536,     2),
        Stage(BLOCK,    3,      1536,     2),
    ),
    head=Head(3072),
    resolution=256,
    dropout=0.2,
    survival=0.75,
    style=Style(activation="gelu", norm="weights", norm_eps=1e-5, padding="same"),
    inputs=Inputs(margin=28),  # 284 px cut to 256, as timm
)  # fmt: skip

NETWORKS = (F0,)
ALIASES = {"dm_nfnet_f0": F0.name}  # timm
OTHERS = {"nfnet_f0": "timm's has no learned gains in its blocks; did you mean 'dm_nfnet_f0', the paper's?"}
