"""Hypothesis strategies for networks: random, valid, and small enough to build and run in milliseconds."""

from dataclasses import replace

from hypothesis import strategies as st

from compound.blocks import (
    Basic,
    Block,
    Bottleneck,
    Branch,
    Cell,
    ConvBlock,
    ConvNext,
    DeepStem,
    Dense,
    Fire,
    FusedMBConv,
    GhostBottleneck,
    Grouped,
    HalvedBottleneck,
    Inception,
    InceptionResidual,
    MBConv,
    MixedMBConv,
    MobileOne,
    NormFree,
    PartialConv,
    Patches,
    RepVgg,
    RepVit,
    Separable,
    ShuffleV2,
    SqueezeExcite,
    Style,
    TieredStem,
    UniversalMBConv,
    WideningMBConv,
    Wire,
    Wired,
    Xception,
)
from compound.blocks.style import GAINS
from compound.head import Head
from compound.network import Inputs, Network, Stage
from compound.scaling import Scaling

KERNELS = st.sampled_from((1, 3, 5))
CHANNELS = st.sampled_from((4, 8, 12, 16, 24))
RATIOS = st.sampled_from((0, 0.25, 0.5))
FIXED = st.sampled_from(((), ("depth",), ("width",), ("depth", "width")))
OPERATIONS = st.sampled_from(
    ("identity", "average-3x3", "max-2x2", "separable-3x3", "dilated-3x3", "conv-1x1", "conv-3x3", "conv-1x7-7x1")
)
NODES = st.tuples(  # a cell's nodes, each of which is read
    *(st.tuples(st.just(states), st.tuples(OPERATIONS, OPERATIONS)) for states in ((0, 1), (2, 1), (0, 3)))
)
JOINED = st.sampled_from(((4,), (0, 2, 4), (1, 4)))
WIRES = (  # lists of operators, on four channels or a multiple
    (
        Wire("conv", kernel=3, groups=0),
        Wire("norm"),
        Wire("act"),
        Wire("conv", like=0),
        Wire("norm"),
        Wire("add", (5, 0)),
    ),
    (
        Wire("part", (0,), part=(0, 1, 4)),
        Wire("part", (0,), part=(1, 4, 4)),
        Wire("conv", (1,), like=1, kernel=(3, 1), bias=True),
        Wire("join", (2, 3)),
        Wire("shuffle", groups=2),
        Wire("conv", channels=8, kernel=3, dilation=2),
        Wire("group_norm", groups=4),
        Wire("leaky_relu"),
        Wire("conv"),
        Wire("response_norm"),
    ),
    (
        Wire("global"),
        Wire("channel_conv", kernel=3),
        Wire("sigmoid"),
        Wire("multiply", (0, 3)),
        Wire("average", (4,), kernel=3, count_padding=True),
        Wire("conv", (4,), kernel=3, stride=2, groups=0),
        Wire("upsample", stride=2),
        Wire("global"),
        Wire("multiply", (5, 8)),
        Wire("scale", learned="channels"),
        Wire("batch_norm", eps=1e-2),
        Wire("add", (4, 11)),
    ),
)
NAMES = st.text("abcdefgh-0123456789 é:#'\"", min_size=1, max_size=12)


def blocks() -> st.SearchStrategy[Block]:
    """Every block kind with its fields; channels of `CHANNELS` suit all of them."""
    return st.one_of(
        st.builds(ConvBlock, KERNELS, st.booleans()),
        st.builds(MBConv, KERNELS, st.sampled_from((1, 1.5, 3, 6)), RATIOS),
        st.builds(FusedMBConv, KERNELS, st.sampled_from((1, 2, 4)), RATIOS),
        st.builds(
            MixedMBConv,
            st.sampled_from(((3,), (3, 5), (1, 3, 5))),
            st.sampled_from((1, 1.5, 3)),
            RATIOS,
            st.integers(1, 2),
            st.integers(1, 3),
        ),
        st.builds(GhostBottleneck, KERNELS, st.sampled_from((1, 1.25, 3)), gates()),
        st.builds(Separable, KERNELS, st.booleans()),
        st.builds(Basic, KERNELS),
        st.builds(Bottleneck, KERNELS, st.sampled_from((1, 2, 4)), st.just(1)),
        st.builds(Bottleneck, KERNELS, st.sampled_from((1, 2)), st.just(2)),
        st.builds(Fire, st.sampled_from((2, 8)), KERNELS),
        st.builds(ShuffleV2, KERNELS),
        st.builds(Bottleneck, KERNELS, st.just(1), st.just(1), gates()),
        st.builds(HalvedBottleneck, KERNELS, st.just(1), st.sampled_from((1, 2)), gates()),
        st.builds(Grouped, KERNELS, st.sampled_from((1, 2, 4)), gates()),
        st.builds(FusedMBConv, KERNELS, st.sampled_from((1, 2)), RATIOS, st.booleans(), st.just("output")),
        st.builds(DeepStem, KERNELS),
        st.builds(Inception, st.tuples(st.just(Branch(((3, 0),))), branches(), branches())),
        st.builds(
            InceptionResidual,
            st.tuples(branches()),
            st.sampled_from((1.0, 0.2)),
            st.booleans(),
            st.booleans(),
            st.sampled_from((((1, 1),), ((2, 1),), ((1, 3), (2, 2)))),
        ),
        st.builds(Xception, KERNELS, st.integers(1, 3), st.booleans(), st.sampled_from(("first", "last"))),
        st.builds(Cell, NODES, JOINED, st.booleans()),
        universal(),
        st.builds(RepVgg, KERNELS, RATIOS),
        st.builds(MobileOne, KERNELS, st.integers(1, 3), RATIOS),
        st.builds(ConvNext, KERNELS, st.sampled_from((1, 1.5, 4)), st.sampled_from((0, 1e-6)), st.booleans()),
        st.builds(Patches, st.booleans()),
        st.builds(PartialConv, KERNELS, st.sampled_from((1, 1.5, 2)), st.sampled_from((2, 3, 4))),
        st.builds(WideningMBConv, KERNELS, st.sampled_from((1, 1.5, 3)), gates() | RATIOS),
        st.builds(NormFree, KERNELS, st.just(2), st.sampled_from((1, 2)), gates() | st.just(0)),
    )


def universal() -> st.SearchStrategy[UniversalMBConv]:
    """With at least one depthwise convolution, so that it may stride."""
    kernels = st.sampled_from(((3, 0), (0, 3), (5, 3), (3, 5)))
    return st.builds(lambda sizes, expand: UniversalMBConv(*sizes, expand), kernels, st.sampled_from((1, 1.5, 4)))


def gates() -> st.SearchStrategy[SqueezeExcite]:
    return st.builds(
        SqueezeExcite,
        st.sampled_from((0.25, 0.5)),
        st.sampled_from(("input", "expanded")),
        st.sampled_from((1, 4)),
        st.sampled_from((None, "relu")),
        st.sampled_from(("sigmoid", "hard_sigmoid")),
        st.booleans(),
    )


def branches() -> st.SearchStrategy[Branch]:
    """Branches of Inception blocks, with and without a pool and a fork at the end."""
    ends = st.sampled_from(((), (((1, 3), 4), ((3, 1), 8))))
    convs = st.sampled_from((((1, 4),), ((1, 4), (3, 8)), ((1, 8), ((1, 7), 4), ((7, 1), 4))))
    return st.builds(Branch, convs, ends, st.sampled_from((None, "max", "average")), st.booleans())


def stages(most_layers: int = 3) -> st.SearchStrategy[Stage]:
    layers = st.integers(1, most_layers)
    dense = st.builds(Dense, KERNELS, st.sampled_from((1, 4)))  # its stride would empty the smallest maps
    return st.one_of(
        st.builds(Stage, blocks(), layers, CHANNELS, st.sampled_from((1, 1, 2)), FIXED),
        st.builds(Stage, dense, layers, CHANNELS, fixed=FIXED),
        st.builds(Stage, st.just(UniversalMBConv(0, 0, 2)), layers, CHANNELS, fixed=FIXED),
        st.builds(
            Stage, st.builds(RepVit, KERNELS, st.sampled_from((1, 2)), gates(), st.integers(1, 2)), layers, CHANNELS
        ),
        st.builds(Stage, st.just(TieredStem()), st.just(1), st.sampled_from((16, 24)), st.just(2), FIXED),
        st.builds(Stage, st.builds(Wired, st.sampled_from(WIRES)), layers, CHANNELS, fixed=FIXED),
    )


def styles() -> st.SearchStrategy[Style]:
    """Every norm with the activations it takes."""
    plain = ("swish", "relu", "relu6", "hard_swish", "gelu", "tanh", "sigmoid", "hard_sigmoid", "identity")
    rest = (st.sampled_from((0.9, 0.99)), st.sampled_from((1e-5, 1e-3)), st.sampled_from(("symmetric", "same")))
    return st.one_of(
        st.builds(Style, st.sampled_from(plain), *rest, st.sampled_from(("batch", "layer", "none")), st.booleans()),
        st.builds(
            Style,
            st.sampled_from((*plain, "leaky_relu")),
            *rest,
            st.just("group"),
            st.booleans(),
            st.just(1),
        ),
        st.builds(Style, st.sampled_from(tuple(GAINS)), *rest, st.just("weights")),
    )


def heads() -> st.SearchStrategy[Head]:
    """Every head: a convolution or none, behind a norm or an activation or nothing, hidden layers, scored maps."""
    channels, fixed, flag = st.sampled_from((None, 16, 32)), st.sampled_from(((), ("width",))), st.booleans()
    hidden, pool = st.sampled_from(((), (20,), (24, 8))), st.integers(1, 3)
    acts = st.sampled_from((None, "relu", "hard_swish"))
    return st.one_of(
        st.builds(Head, channels, fixed),
        st.builds(Head, channels, fixed, hidden, flag, pool, st.just(False), acts, flag, flag),
        st.builds(Head, channels, fixed, st.just(()), flag, st.just(1), st.just(True), acts, flag),
    )


def inputs() -> st.SearchStrategy[Inputs]:
    return st.builds(
        Inputs,
        st.sampled_from(((0.5,), (0.485, 0.456, 0.406))),
        st.sampled_from(((0.25,), (0.229, 0.224, 0.225))),
        st.sampled_from(("bicubic", "bilinear", "nearest")),
        st.sampled_from(("crop", "squash", "pad")),
        st.integers(0, 32),
    )


@st.composite
def networks(draw: st.DrawFn, most_stages: int = 4) -> Network:
    """A random valid network of any block kinds, at most 40 px and 24 channels."""
    stem = Stage(ConvBlock(draw(KERNELS), draw(st.booleans())), 1, draw(CHANNELS), draw(st.sampled_from((1, 2))))
    drawn, rows, inp = draw(st.lists(stages(), min_size=1, max_size=most_stages)), [], stem.channels
    for stage in drawn:
        if isinstance(stage.block, RepVit):
            # It keeps its channels: behind a block that carries its input on, they would depend on depth.
            before = rows[-1].channels if rows else inp
            stage = replace(stage, channels=inp) if before == inp else replace(stage, block=Basic())
        rows.append(stage)
        inp = stage.out_channels(inp)
    style = draw(styles())
    if style.activation not in GAINS and any(isinstance(row.block, NormFree) for row in rows):
        style = replace(style, activation="swish")  # its convolutions are standardised, whatever the network's norm
    return Network(
        name=draw(NAMES),
        stem=stem,
        stages=tuple(rows),
        head=draw(heads()),
        resolution=draw(st.integers(8, 40)),
        dropout=draw(st.sampled_from((0.0, 0.2, 0.5))),
        survival=draw(st.sampled_from((1.0, 0.8, 0.5))),
        style=style,
        inputs=draw(inputs()),
        divisor=draw(st.sampled_from((4, 8))),
    )


def scalings(low: float = 0.5, high: float = 3.0) -> st.SearchStrategy[Scaling]:
    factor = st.floats(low, high, allow_nan=False)
    return st.builds(Scaling, factor, factor, factor)
