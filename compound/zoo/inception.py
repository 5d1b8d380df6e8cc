"""Inception-v3 (Szegedy et al. 2016, Table 1), Inception-v4 and Inception-ResNet-v2 (Szegedy et al. 2017, Figs. 3–22).

Widths and the scales 0.17, 0.10, 0.20 as in the authors' code (TF-Slim), which torchvision and timm follow; the
auxiliary classifier of training is left out. 0 channels are what the other branches leave of the stage's.
"""

from compound.blocks import Branch, ConvBlock, Inception, InceptionResidual, Style
from compound.blocks.inception import BranchConv
from compound.head import Head
from compound.network import Inputs, Network, Stage

TALL, FLAT = (7, 1), (1, 7)  # a 7×7 window in two
CONV, BARE = ConvBlock(3), ConvBlock(3, padding="valid")
CARRIED = Branch(pool="max")
MAX_POOL = Inception((CARRIED,), valid=True)
STYLE = Style(activation="relu", norm_decay=0.9, norm_eps=1e-3)
INPUTS = Inputs(mean=(0.5,), std=(0.5,), margin=43)  # 342 px cut to 299, as torchvision


def once(block: ConvBlock | Inception | InceptionResidual, channels: int, stride: int = 1) -> Stage:
    """A row that does not get deeper: stems and reductions."""
    return Stage(block, 1, channels, stride, fixed=("depth",))


def averaged(channels: int = 0, count_padding: bool = False) -> Branch:
    return Branch(((1, channels),), pool="average", count_padding=count_padding)


def inception_a(single: int, kernel: int, short: tuple[int, int], pooled: Branch) -> Inception:
    """35×35: 1×1; 1×1, k×k; 1×1, 3×3, 3×3; average pool, 1×1."""
    (reduced, wide), long = short, Branch(((1, 64), (3, 96), (3, 96)))
    return Inception((Branch(((1, single),)), Branch(((1, reduced), (kernel, wide))), long, pooled))


def inception_b(single: int, short: tuple[int, ...], long: tuple[int, ...], pooled: Branch) -> Inception:
    """17×17: 1×1; 1×1 and 7×7 in two; 1×1 and twice 7×7 in two; average pool, 1×1."""
    a, b, c = short
    first = Branch(((1, a), (FLAT, b), (TALL, c)))
    a, b, c, d, e = long
    second = Branch(((1, a), (TALL, b), (FLAT, c), (TALL, d), (FLAT, e)))
    return Inception((Branch(((1, single),)), first, second, pooled))


def inception_c(single: int, short: int, long: tuple[BranchConv, ...], ends: int, pooled: Branch) -> Inception:
    """8×8: 1×1; 1×1; `long`; both of these end in 1×3 beside 3×1; average pool, 1×1."""
    two = (((1, 3), ends), ((3, 1), ends))
    return Inception((Branch(((1, single),)), Branch(((1, short),), two), Branch(long, two), pooled))


def reduction(*branches: Branch) -> Inception:
    """Every branch ends in 3×3 of stride 2 without padding; the input is carried on by max pooling."""
    return Inception((*branches, CARRIED), valid=True)


def v3_b(width: int) -> Inception:
    return inception_b(192, (width, width, 192), (width, width, width, width, 192), averaged(count_padding=True))


V3 = Network(
    name="inception-v3",
    stem=once(BARE, 32, 2),
    stages=(
        once(BARE, 32),
        once(CONV, 64),
        once(MAX_POOL, 64, 2),
        once(ConvBlock(1), 80),
        once(BARE, 192),
        once(MAX_POOL, 192, 2),
        #     operator                                                          layers  channels
        Stage(inception_a(64, 5, (48, 64), averaged(count_padding=True)),       1,       256),
        Stage(inception_a(64, 5, (48, 64), averaged(count_padding=True)),       2,       288),
        once(reduction(Branch(((3, 0),)), Branch(((1, 64), (3, 96), (3, 96)))),          768, 2),
        Stage(v3_b(128),                                                        1,       768),
        Stage(v3_b(160),                                                        2,       768),
        Stage(v3_b(192),                                                        1,       768),
        once(reduction(
            Branch(((1, 192), (3, 0))),
            Branch(((1, 192), (FLAT, 192), (TALL, 192), (3, 192))),
        ),                                                                              1280, 2),
        Stage(inception_c(320, 384, ((1, 448), (3, 384)), 384,
                          averaged(count_padding=True)),                        2,      2048),
    ),
    resolution=299,
    dropout=0.5,
    style=STYLE,
    inputs=INPUTS,
)  # fmt: skip

# Fig. 3, left column: three convolutions; then a pool beside one, two chains, a pool beside one.
V4_STEM = (
    once(BARE, 32),
    once(CONV, 64),
    once(Inception((CARRIED, Branch(((3, 0),))), valid=True), 160, 2),
    once(Inception((
        Branch(((1, 64), (3, 96))),
        Branch(((1, 64), (FLAT, 64), (TALL, 64), (3, 0))),
    ), valid=True), 192),
    once(Inception((Branch(((3, 0),)), CARRIED), valid=True), 384, 2),
)  # fmt: skip

V4 = Network(
    name="inception-v4",
    stem=once(BARE, 32, 2),
    stages=(
        *V4_STEM,
        #     operator                                                             layers  channels
        Stage(inception_a(96, 3, (64, 96), averaged()),                            4,       384),
        once(reduction(Branch(((3, 0),)), Branch(((1, 192), (3, 224), (3, 256)))),         1024, 2),
        Stage(inception_b(384, (192, 224, 256), (192, 192, 224, 224, 256),
                          averaged()),                                             7,      1024),
        once(reduction(
            Branch(((1, 192), (3, 0))),
            Branch(((1, 256), (FLAT, 256), (TALL, 320), (3, 320))),
        ),                                                                                 1536, 2),
        Stage(inception_c(256, 384, ((1, 384), ((3, 1), 448), ((1, 3), 512)), 256,
                          averaged()),                                             3,      1536),
    ),
    resolution=299,
    dropout=0.2,  # "keep 0.8", Fig. 9
    style=STYLE,
    inputs=INPUTS,
)  # fmt: skip

RESIDUAL_A = (Branch(((1, 32),)), Branch(((1, 32), (3, 32))), Branch(((1, 32), (3, 48), (3, 64))))
RESIDUAL_B = (Branch(((1, 192),)), Branch(((1, 128), (FLAT, 160), (TALL, 192))))
RESIDUAL_C = (Branch(((1, 192),)), Branch(((1, 192), ((1, 3), 224), ((3, 1), 256))))

RESNET_V2 = Network(
    name="inception-resnet-v2",
    stem=once(BARE, 32, 2),
    stages=(
        once(BARE, 32),
        once(CONV, 64),
        once(MAX_POOL, 64, 2),
        once(ConvBlock(1), 80),
        once(BARE, 192),
        once(MAX_POOL, 192, 2),
        once(inception_a(96, 5, (48, 64), averaged()), 320),
        #     operator                                                             layers  channels
        Stage(InceptionResidual(RESIDUAL_A, scale=0.17),                           10,      320),
        once(reduction(Branch(((3, 0),)), Branch(((1, 256), (3, 256), (3, 384)))),         1088, 2),
        Stage(InceptionResidual(RESIDUAL_B, scale=0.10),                           20,     1088),
        once(reduction(
            Branch(((1, 256), (3, 0))),
            Branch(((1, 256), (3, 288))),
            Branch(((1, 256), (3, 288), (3, 320))),
        ),                                                                                 2080, 2),
        Stage(InceptionResidual(RESIDUAL_C, scale=0.20),                           9,      2080),
        once(InceptionResidual(RESIDUAL_C, act=False),                                     2080),
    ),
    head=Head(1536),
    resolution=299,
    dropout=0.2,
    style=STYLE,
    inputs=Inputs(mean=(0.5,), std=(0.5,), margin=34),  # 333 px cut to 299, as timm
)  # fmt: skip

NETWORKS = (V3, V4, RESNET_V2)
ALIASES = {"gluon_inception_v3": V3.name, "adv_inception_v3": V3.name, "ens_adv_inception_resnet_v2": RESNET_V2.name}
