"""EfficientNet (Tan & Le 2019, Table 1) and its published variants; EfficientNet-Lite; the small-image baseline."""

from dataclasses import replace

from compound.blocks import ConvBlock, FusedMBConv, MBConv, Style
from compound.head import Head
from compound.network import Inputs, Network, Stage
from compound.scaling import Scaling, scale

# Table 1; strides as in the official code. The paper numbers the stem 1, we number these rows 1 to 7.
B0 = Network(
    name="efficientnet-b0",
    stem=Stage(ConvBlock(3), layers=1, channels=32, stride=2),
    stages=(
        #     operator                     layers  channels  stride
        Stage(MBConv(kernel=3, expand=1),  1,       16,      1),
        Stage(MBConv(kernel=3, expand=6),  2,       24,      2),
        Stage(MBConv(kernel=5, expand=6),  2,       40,      2),
        Stage(MBConv(kernel=3, expand=6),  3,       80,      2),
        Stage(MBConv(kernel=5, expand=6),  3,      112,      1),
        Stage(MBConv(kernel=5, expand=6),  4,      192,      2),
        Stage(MBConv(kernel=3, expand=6),  1,      320,      1),
    ),
    head=Head(1280),
    resolution=224,
    dropout=0.2,
    survival=0.8,  # Section 5.2
)  # fmt: skip


def published(base: Network, name: str, width: float, depth: float, resolution: int, dropout: float) -> Network:
    """A published variant: the official coefficients, which are not powers of one φ beyond B3."""
    scaling = Scaling(depth, width, resolution / base.resolution)
    return scale(base, scaling, name).with_(resolution=resolution, dropout=dropout)


# name: width, depth, resolution, dropout (official `efficientnet_params`)
COEFFICIENTS = {
    "efficientnet-b0": (1.0, 1.0, 224, 0.2),
    "efficientnet-b1": (1.0, 1.1, 240, 0.2),
    "efficientnet-b2": (1.1, 1.2, 260, 0.3),
    "efficientnet-b3": (1.2, 1.4, 300, 0.3),
    "efficientnet-b4": (1.4, 1.8, 380, 0.4),
    "efficientnet-b5": (1.6, 2.2, 456, 0.4),
    "efficientnet-b6": (1.8, 2.6, 528, 0.5),
    "efficientnet-b7": (2.0, 3.1, 600, 0.5),
    "efficientnet-b8": (2.2, 3.6, 672, 0.5),
    "efficientnet-l2": (4.3, 5.3, 800, 0.5),
}

# Lite: no squeeze-excite, ReLU6; stem, head and layers of the first and last stage do not scale (official lite code).
LITE0 = replace(
    B0,
    name="efficientnet-lite0",
    stem=replace(B0.stem, fixed=("width",)),
    stages=tuple(
        replace(
            row,
            block=replace(row.block, se=0),  # type: ignore[call-arg]  # all rows are MBConv
            fixed=("depth",) if i in (0, 6) else (),
        )
        for i, row in enumerate(B0.stages)
    ),
    head=Head(1280, fixed=("width",)),
    # All Lite weights there are were trained in TensorFlow and run on devices that see the whole photo.
    style=Style(activation="relu6", padding="same"),
    inputs=Inputs(mean=(127 / 255,), std=(128 / 255,), margin=0),
)

LITE_COEFFICIENTS = {
    "efficientnet-lite0": (1.0, 1.0, 224, 0.2),
    "efficientnet-lite1": (1.0, 1.1, 240, 0.2),
    "efficientnet-lite2": (1.1, 1.2, 260, 0.3),
    "efficientnet-lite3": (1.2, 1.4, 280, 0.3),
    "efficientnet-lite4": (1.4, 1.8, 300, 0.3),
}

# For images of 28 to 64 px: three halvings instead of five, so that 28 px still end in a 4×4 map. Early stages are
# fused (Tan & Le 2021), which is faster than depthwise convolution on large maps, most of all on a CPU. Chosen on
# Fashion-MNIST by accuracy at equal training time.
MINI = Network(
    name="efficientnet-mini",
    stem=Stage(ConvBlock(3), layers=1, channels=32, stride=2),
    stages=(
        #     operator                               layers  channels  stride
        Stage(FusedMBConv(kernel=3, expand=1),       2,       32,      1),
        Stage(FusedMBConv(kernel=3, expand=2),       2,       48,      2),
        Stage(FusedMBConv(kernel=3, expand=4),       1,       96,      2),
        Stage(MBConv(kernel=3, expand=4),            2,       96,      1),
    ),
    head=Head(256),
    resolution=28,
    dropout=0.2,
    survival=0.9,
    inputs=Inputs(mean=(0.5,), std=(0.25,), margin=0),
)  # fmt: skip

PUBLISHED = {B0.name: COEFFICIENTS, LITE0.name: LITE_COEFFICIENTS}
NETWORKS = (
    *(published(base, name, *row) for base in (B0, LITE0) for name, row in PUBLISHED[base.name].items()),
    MINI,
)

# Parameters and "FLOPS" (multiply-adds) as Table 2 prints them.
PRINTED = {
    "efficientnet-b0": ("5.3M", "0.39B"),
    "efficientnet-b1": ("7.8M", "0.70B"),
    "efficientnet-b2": ("9.2M", "1.0B"),
    "efficientnet-b3": ("12M", "1.8B"),
    "efficientnet-b4": ("19M", "4.2B"),
    "efficientnet-b5": ("30M", "9.9B"),
    "efficientnet-b6": ("43M", "19B"),
    "efficientnet-b7": ("66M", "37B"),
}
