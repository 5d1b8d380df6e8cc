"""Which blocks might stand at a place of a graph, their fields read off the operators there.

A proposal may be wrong: whoever asks writes it out and compares operator by operator. So these functions look only at
what tells candidates apart, and the nicest reading comes first.
"""

from collections.abc import Iterator
from itertools import product
from typing import Literal

from compound.blocks import (
    BareConv,
    Basic,
    Bottleneck,
    ConvBlock,
    ConvNext,
    DeepStem,
    Dense,
    Fire,
    FusedMBConv,
    Grouped,
    HalvedBottleneck,
    MaxPool,
    MBConv,
    MobileOne,
    Patches,
    RepVgg,
    Separable,
    ShuffleV1,
    ShuffleV2,
    UniversalMBConv,
    Xception,
)
from compound.nn.reading.ahead import Ahead, Proposal, channels, gates, groups, kernel, ratio, stride
from compound.nn.reading.branches import inceptions
from compound.ops import Function
from compound.rounding import Padding


def plain(a: Ahead) -> Iterator[Proposal]:
    """Convolutions and pooling in a row."""
    first = a.nodes[0]
    if first.kind == "pool" and first.facts[0] == "max":
        size, by = first.facts[1][0], first.facts[2][0]
        filled_up = a.out[1] > (a.inp[1] - size) // by + 1
        for ceil in (filled_up, not filled_up):
            yield Proposal(MaxPool(size, ceil), a.inp[0], by)
    if first.kind != "conv":
        return
    (rows, _), _ = first.facts[5]
    paddings: tuple[Padding | None, ...] = (None, "valid", rows)
    for pool, padding in product((False, True), paddings):
        yield Proposal(ConvBlock(kernel(first), pool, padding), channels(first), stride(first))
    yield Proposal(BareConv(kernel(first)), channels(first), stride(first))
    three = a.convs(3)
    if len(three) == 3:
        yield Proposal(DeepStem(kernel(first)), channels(three[2]), stride(first))


def mobile(a: Ahead) -> Iterator[Proposal]:
    """Separable convolutions and inverted bottlenecks."""
    acts: list[Function | None] = [None, *dict.fromkeys(node.facts[0] for node in a.nodes[:8] if node.kind == "act")]
    for depthwise, project in zip(a.convs(2), a.convs(3)[1:], strict=False):
        mid, out = channels(depthwise), channels(project)
        if groups(depthwise) != mid:
            continue
        upto = a.nodes.index(project)
        for bare, se in product((False, True), gates(a.nodes[:upto], a.inp[0], mid, a.style)):
            yield Proposal(Separable(kernel(depthwise), bare, se), out, stride(depthwise))
        for se, act, skip in product(list(gates(a.nodes[:upto], a.inp[0], mid, a.style)), acts, (True, False)):
            expand = ratio(mid, a.inp[0])
            yield Proposal(MBConv(kernel(depthwise), expand, se, skip, act), out, stride(depthwise))
    yield from fused(a)


def universal(a: Ahead) -> Iterator[Proposal]:
    """Inverted bottlenecks with depthwise convolutions in other places."""
    three = a.convs(4)
    depthwise = [groups(node) == channels(node) > 1 for node in three]
    first = 1 if depthwise[:1] == [True] else 0
    last = first + (2 if depthwise[first + 1 : first + 2] == [True] else 1)
    if last >= len(three) or any(depthwise[i] for i in (first, last)):
        return
    before, within = (kernel(three[0]) if first else 0), (kernel(three[first + 1]) if last > first + 1 else 0)
    by = max(stride(node) for node in three[: last + 1])
    expand = ratio(channels(three[first]), a.inp[0])
    yield Proposal(UniversalMBConv(within, before, expand), channels(three[last]), by)


def fused(a: Ahead) -> Iterator[Proposal]:
    """Inverted bottlenecks whose expansion is the k×k convolution."""
    for first, project in zip(a.convs(1) * 2, [*a.convs(2)[1:], *a.convs(1)], strict=False):
        mid, out = channels(first), channels(project)
        upto = max(a.nodes.index(project), min(16, len(a.nodes)) if first is project else 0)
        sizes: tuple[tuple[int, Literal["input", "output"]], ...] = ((a.inp[0], "input"), (out, "output"))
        for se, (base, of), skip in product(list(gates(a.nodes[:upto], a.inp[0], mid, a.style)), sizes, (True, False)):
            expand = 1.0 if first is project else ratio(mid, base)
            yield Proposal(FusedMBConv(kernel(first), expand, se, skip, of), out, stride(first))


def residual(a: Ahead) -> Iterator[Proposal]:
    """Residual blocks of one piece."""
    if a.piece[-1].kind != "add":
        return
    convs = [node for node in a.piece if node.kind == "conv"]
    out = a.out[0]
    kernels = sorted({kernel(node) for node in convs}, reverse=True)
    pooled = any(node.kind == "pool" for node in a.piece)
    for k in kernels:
        yield Proposal(Basic(k, pooled), out, a.stride)
    shapes = {(kernel(node), channels(node), groups(node)) for node in convs}
    for (k, mid, g), se in product(sorted(shapes, reverse=True), list(gates(a.piece, a.inp[0], out, a.style))):
        if out % mid == 0:
            yield Proposal(Bottleneck(k, out // mid, g, se, pooled), out, a.stride)
            yield Proposal(HalvedBottleneck(k, out // mid, g, se), out, a.stride)
    for (k, mid, g), se in product(sorted(shapes, reverse=True), list(gates(a.piece, a.inp[0], out, a.style))):
        if mid % g == 0:
            yield Proposal(Grouped(k, mid // g, se), out, a.stride)
    separable = [node for node in convs if groups(node) == channels(node) and groups(node) > 1]
    places: tuple[Literal["first", "last"], ...] = ("first", "last")
    for k, first, grow in product(kernels[:1], (True, False), places):
        yield Proposal(Xception(k, max(1, len(separable)), first, grow), out, a.stride)


def branched(a: Ahead) -> Iterator[Proposal]:
    """Convolutions and norms that are added: blocks that were not folded."""
    convs = [node for node in a.piece if node.kind == "conv"]
    if a.piece[-1].kind != "add" or not convs:
        return
    size = max(map(kernel, convs))
    whole = [node for node in convs if kernel(node) == size]
    for se in gates(a.nodes[len(a.piece) :][:8], a.inp[0], a.out[0], a.style):
        yield Proposal(RepVgg(size, se), a.out[0], a.stride)
    point = next((node for node in a.nodes[len(a.piece) :] if node.kind == "conv"), None)
    if point and groups(whole[0]) == a.inp[0]:
        for se in gates(a.nodes[len(a.piece) : a.nodes.index(point)], a.inp[0], a.inp[0], a.style):
            yield Proposal(MobileOne(size, len(whole), se), channels(point), a.stride)


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
        yield Proposal(ShuffleV1(kernel(node), shuffle.facts[0], reduce, entry), a.out[0], a.stride)


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
        by = pool.facts[2][0] if pool else 1
        yield Proposal(Dense(kernel(conv), channels(reduce) // growth, compress), growth, by)


def convnext(a: Ahead) -> Iterator[Proposal]:
    """ConvNeXt's stem and blocks, of which one that changes shapes begins with a norm."""
    kinds = [node.kind for node in a.nodes[:3]]
    if kinds[:2] == ["conv", "layer_norm"]:
        yield Proposal(Patches(), channels(a.nodes[0]), stride(a.nodes[0]))
    fits = kinds[:1] == ["layer_norm"]
    convs = a.convs(4)[fits : fits + 3]
    if len(convs) == 3 and groups(convs[0]) == channels(convs[0]) > 1:
        by = stride(a.convs(1)[0]) if fits else 1
        expand = ratio(channels(convs[1]), channels(convs[0]))
        learned = any(node.kind == "scale" for node in a.nodes)
        start = ConvNext.scale if learned else 0
        responses = any(node.kind == "response_norm" for node in a.piece)
        yield Proposal(ConvNext(kernel(convs[0]), expand, start, responses), channels(convs[0]), by)


def proposals(ahead: Ahead) -> Iterator[Proposal]:
    """Every reading worth trying at a place, the likelier first."""
    for read in (residual, branched, plain, mobile, universal, convnext, joined, shuffled):
        yield from read(ahead)
    strides = dict.fromkeys((ahead.stride, 2))  # windows without padding shrink small maps by more than they stride
    for block, by in product(inceptions(ahead.graph, ahead.start, ahead.end), strides):
        yield Proposal(block, ahead.out[0], by)
