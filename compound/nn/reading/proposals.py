"""Which blocks might stand at a place of a graph, their fields read off the operators there.

A proposal may be wrong: whoever asks writes it out and compares operator by operator. So these functions look only at
what tells candidates apart, and the nicest reading comes first.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

from compound.blocks import (
    BareConv,
    Basic,
    Block,
    Bottleneck,
    ConvBlock,
    DeepStem,
    Dense,
    Fire,
    FusedMBConv,
    Grouped,
    HalvedBottleneck,
    MaxPool,
    MBConv,
    Separable,
    ShuffleV1,
    ShuffleV2,
    SqueezeExcite,
    Style,
    Xception,
)
from compound.nn.reading.branches import inceptions
from compound.nn.reading.graph import Graph, Node
from compound.ops import Shape
from compound.rounding import Padding, round_channels, squeeze_channels

REACH = 40  # nodes of the longest block that is not one branched piece


class Proposal(NamedTuple):
    """A block with the channels and the stride of its stage."""

    block: Block
    channels: int
    stride: int


@dataclass(frozen=True)
class Ahead:
    """What lies behind the value `start`: the next nodes, and `end`, where their first branched piece ends."""

    graph: Graph
    start: int
    end: int
    style: Style

    @property
    def nodes(self) -> list[Node]:
        return self.graph.nodes[self.start : max(self.end, self.start + REACH)]

    @property
    def piece(self) -> list[Node]:
        """The nodes up to where everything comes together again."""
        return self.graph.nodes[self.start : self.end]

    @property
    def inp(self) -> Shape:
        return self.graph.shapes[self.start]

    @property
    def out(self) -> Shape:
        """The shape at the end of the piece."""
        return self.graph.shapes[self.end]

    @property
    def stride(self) -> int:
        """How much smaller the piece makes its map."""
        return round(self.inp[1] / self.out[1])

    def convs(self, count: int) -> list[Node]:
        """The first convolutions."""
        return [node for node in self.nodes if node.kind == "conv"][:count]


# The facts of a convolution's node.
def channels(node: Node) -> int:
    return int(node.facts[0])  # type: ignore[call-overload,no-any-return]


def kernel(node: Node) -> int:
    return int(node.facts[1][0])  # type: ignore[index]


def stride(node: Node) -> int:
    return int(node.facts[2][0])  # type: ignore[index]


def groups(node: Node) -> int:
    return int(node.facts[3])  # type: ignore[call-overload,no-any-return]


def ratio(part: int, base: int, rule: Callable[[int, float], int] = lambda base, x: round(base * x)) -> float:
    """The ratio of fewest digits that `rule` turns into `part` of `base`."""
    usual = (1.0, 0.5, 0.25, 0.125, 1 / 16)
    near = [round(part / base, digits) for digits in range(6)]
    return next((x for x in (*usual, *near) if x > 0 and rule(base, x) == part), part / base)


def gates(nodes: list[Node], inp: int, gated: int, style: Style) -> Iterator[float | SqueezeExcite]:
    """Fields `se` that the first gate among the nodes may stand for; 0 where there is none."""
    end = next((i for i, node in enumerate(nodes) if node.kind == "multiply"), None)
    if end is None:
        yield 0
        return
    reduce = next((node for node in nodes[:end] if node.kind == "linear"), None)
    acts = [str(node.facts[0]) for node in nodes[:end] if node.kind == "act"][-2:]
    if reduce is None or len(acts) < 2:
        return
    squeezed, (act, gate) = int(reduce.facts[1]), acts  # type: ignore[call-overload]
    usual = act == style.activation and gate == "sigmoid"
    for of, base in (("input", inp), ("expanded", gated)):
        share = ratio(squeezed, base, squeeze_channels)
        if squeeze_channels(base, share) == squeezed:
            short = usual and of == "input"
            if share in (1.0, 0.5, 0.25, 0.125, 1 / 16) or of == "expanded":
                yield share if short else SqueezeExcite(share, of, 1, None if act == style.activation else act, gate)
        for divisor, x in product((8, 4), (0.25, 0.5, 0.125)):
            if round_channels(base * x, divisor) == squeezed:
                yield SqueezeExcite(x, of, divisor, None if act == style.activation else act, gate)
    share = ratio(squeezed, inp, squeeze_channels)
    yield share if usual else SqueezeExcite(share, "input", 1, None if act == style.activation else act, gate)


def plain(a: Ahead) -> Iterator[Proposal]:
    """Convolutions and pooling in a row."""
    first = a.nodes[0]
    if first.kind == "pool" and first.facts[0] == "max":
        size, by = first.facts[1][0], first.facts[2][0]  # type: ignore[index]
        full = (a.inp[1] - size) // by + 1
        yield Proposal(MaxPool(size, a.out[1] > full), a.inp[0], by)
    if first.kind != "conv":
        return
    (rows, _), _ = first.facts[5]  # type: ignore[misc]
    paddings: tuple[Padding | None, ...] = (None, "valid", rows)
    for pool, padding in product((True, False), paddings):
        yield Proposal(ConvBlock(kernel(first), pool, padding), channels(first), stride(first))
    yield Proposal(BareConv(kernel(first)), channels(first), stride(first))
    three = a.convs(3)
    if len(three) == 3:
        yield Proposal(DeepStem(kernel(first)), channels(three[2]), stride(first))


def mobile(a: Ahead) -> Iterator[Proposal]:
    """Separable convolutions and inverted bottlenecks."""
    acts = [None, *dict.fromkeys(str(node.facts[0]) for node in a.nodes[:8] if node.kind == "act")]
    for depthwise, project in zip(a.convs(2), a.convs(3)[1:], strict=False):
        mid, out = channels(depthwise), channels(project)
        if groups(depthwise) != mid:
            continue
        for bare in (False, True):
            yield Proposal(Separable(kernel(depthwise), bare), out, stride(depthwise))
        upto = a.nodes.index(project)
        for se, act, skip in product(list(gates(a.nodes[:upto], a.inp[0], mid, a.style)), acts, (True, False)):
            expand = ratio(mid, a.inp[0])
            yield Proposal(MBConv(kernel(depthwise), expand, se, skip, act), out, stride(depthwise))  # type: ignore[arg-type]
    yield from fused(a)


def fused(a: Ahead) -> Iterator[Proposal]:
    """Inverted bottlenecks whose expansion is the k×k convolution."""
    for first, project in zip(a.convs(1) * 2, [*a.convs(2)[1:], *a.convs(1)], strict=False):
        mid, out = channels(first), channels(project)
        upto = max(a.nodes.index(project), min(16, len(a.nodes)) if first is project else 0)
        sizes = ((a.inp[0], "input"), (out, "output"))
        for se, (base, of), skip in product(list(gates(a.nodes[:upto], a.inp[0], mid, a.style)), sizes, (True, False)):
            expand = 1.0 if first is project else ratio(mid, base)
            yield Proposal(FusedMBConv(kernel(first), expand, se, skip, of), out, stride(first))  # type: ignore[arg-type]


def residual(a: Ahead) -> Iterator[Proposal]:
    """Residual blocks of one piece."""
    if a.piece[-1].kind != "add":
        return
    convs = [node for node in a.piece if node.kind == "conv"]
    out = a.out[0]
    kernels = sorted({kernel(node) for node in convs}, reverse=True)
    for k in kernels:
        yield Proposal(Basic(k), out, a.stride)
    shapes = {(kernel(node), channels(node), groups(node)) for node in convs}
    for (k, mid, g), se in product(sorted(shapes, reverse=True), list(gates(a.piece, a.inp[0], out, a.style))):
        if out % mid == 0:
            yield Proposal(Bottleneck(k, out // mid, g, se), out, a.stride)
            yield Proposal(HalvedBottleneck(k, out // mid, g, se), out, a.stride)
    for (k, mid, g), se in product(sorted(shapes, reverse=True), list(gates(a.piece, a.inp[0], out, a.style))):
        if mid % g == 0:
            yield Proposal(Grouped(k, mid // g, se), out, a.stride)
    separable = [node for node in convs if groups(node) == channels(node) and groups(node) > 1]
    for k, first, grow in product(kernels[:1], (True, False), ("first", "last")):
        yield Proposal(Xception(k, max(1, len(separable)), first, grow), out, a.stride)  # type: ignore[arg-type]


def joined(a: Ahead) -> Iterator[Proposal]:
    """Blocks that put channels side by side."""
    convs = a.convs(4)
    if len(convs) > 2 and kernel(convs[0]) == 1:  # Fire begins before its branched piece
        yield Proposal(Fire(channels(convs[0]), kernel(convs[2])), channels(convs[1]) + channels(convs[2]), 1)
        yield Proposal(Fire(channels(convs[0]), kernel(convs[1])), channels(convs[1]) + channels(convs[2]), 1)
    yield from dense(a)
    if a.piece[-1].kind != "join":
        return
    inside = [node for node in a.piece if node.kind == "conv"]
    for k in {kernel(node) for node in inside}:
        yield Proposal(ShuffleV2(k), a.out[0], a.stride)


def shuffled(a: Ahead) -> Iterator[Proposal]:
    """ShuffleNet's first block: its shuffle stands inside."""
    shuffle = next((node for node in a.piece if node.kind == "shuffle"), None)
    if shuffle is None:
        return
    depthwise = [node for node in a.piece if node.kind == "conv" and groups(node) == channels(node) > 1]
    for node, entry in product(depthwise, (True, False)):
        reduce = a.out[0] // channels(node)
        yield Proposal(ShuffleV1(kernel(node), int(shuffle.facts[0]), reduce, entry), a.out[0], a.stride)  # type: ignore[call-overload]


def dense(a: Ahead) -> Iterator[Proposal]:
    """A layer of DenseNet, and the transition before it."""
    convs, inp = a.convs(3), a.inp[0]
    pool = next((node for node in a.nodes[:6] if node.kind == "pool"), None)
    if a.nodes[0].kind != "norm" or len(convs) < (3 if pool else 2):
        return
    reduce, conv = convs[1:] if pool else convs[:2]
    growth = channels(conv)
    if growth and channels(reduce) % growth == 0:
        compress = ratio(channels(convs[0]), inp, lambda n, x: int(n * x)) if pool else 0.5
        by = int(pool.facts[2][0]) if pool else 1  # type: ignore[index]
        yield Proposal(Dense(kernel(conv), channels(reduce) // growth, compress), growth, by)


def proposals(ahead: Ahead) -> Iterator[Proposal]:
    """Every reading worth trying at a place, the likelier first."""
    for read in (residual, mobile, joined, shuffled, plain):
        yield from read(ahead)
    for block in inceptions(ahead.graph, ahead.start, ahead.end):
        yield Proposal(block, ahead.out[0], ahead.stride)
