"""Pieces of a graph as `Wired` blocks, for what no other block is."""

import math
from collections.abc import Iterator
from itertools import pairwise, product
from typing import Any

from compound.blocks import Style, Wire, Wired
from compound.blocks.wired import EACH
from compound.nn.reading.ahead import Ahead, Proposal
from compound.nn.reading.graph import NO_PADS, Node, TraceGraph
from compound.ops import Shape, spread
from compound.rounding import Padding, Pair, output_size, padding_pair

SAME_CHANNELS = (
    "norm", "layer_norm", "group_norm", "response_norm", "act", "scale", "pool", "global", "shuffle", "blur",
    "upsample", "pad", "channel_conv",
)  # fmt: skip
NORMS = {"norm": "batch", "layer_norm": "layer", "group_norm": "group"}


def ends(ahead: Ahead, cuts: list[int]) -> Iterator[int]:
    """Where a block that begins at `ahead.start` may end: before a convolution, a pool, a head or several branches.

    Never behind a value that several branches read, so that what repeats is found again.
    """
    graph, start = ahead.graph, ahead.start
    readers = graph.readers()
    for end in cuts:
        if end <= start or end == len(graph.nodes):
            continue
        following, last = graph.nodes[end].kind, graph.nodes[end - 1].kind
        forks = readers[end] > 1
        if forks or following not in ("act", "norm", "layer_norm", "scale") or (following != "act" and last != "conv"):
            yield end
        if forks:
            return


def wired(ahead: Ahead, end: int) -> Proposal | None:
    """The operators between two values as one block; None where one of them has no place in it."""
    graph, start = ahead.graph, ahead.start
    shared = alike(graph, start, end)
    wires = []
    for value in range(start + 1, end + 1):
        one = wire(graph, value, ahead.style)
        if one is None:
            return None
        reads = tuple(max(i, start) - start for i in graph.nodes[value - 1].inputs)
        same = shared.get(value)
        fields: dict[str, Any] = {**one, "reads": () if reads == (value - start - 1,) else reads}
        if one["op"] == "conv" and same is not None:
            fields |= {"channels": 0, "like": None if same < 0 else same - start}
        wires.append(Wire(**fields))
    block = Wired(tuple(wires))
    if block.strides[-1] not in Wired.strides_of_stage:
        return None
    return Proposal(block, graph.shapes[end][0], block.strides[-1])


def wire(graph: TraceGraph, value: int, style: Style) -> dict[str, Any] | None:
    """The fields of the wire of one node, but for what it reads."""
    node, inp = graph.nodes[value - 1], graph.shapes[graph.nodes[value - 1].inputs[0]]
    facts = node.facts
    match node.kind:
        case "conv":
            return conv(graph, value, style)
        case "linear" if inp[1:] == (1, 1):
            return {"op": "conv", "channels": facts[1], "bias": facts[2]}
        case "pool":
            return pool(graph, value, style)
        case "norm" | "layer_norm" | "group_norm":
            return norm(node, style)
        case "response_norm":
            return {"op": node.kind, "eps": facts[1]}
        case "channel_conv":
            return {"op": node.kind, "kernel": facts[0]}
        case "pad":
            return {"op": "pad", "rows": facts[0], "columns": facts[1]}
        case "blur":
            return {"op": "blur", "stride": facts[0], "mirrored": facts[1]}
        case "upsample":
            return {"op": "upsample", "stride": facts[0]}
        case "act":
            usual = facts[0] == style.activation and style.norm != "weights"
            return {"op": "act" if usual else facts[0]}
        case "slice":
            n = inp[0] // math.gcd(*facts, inp[0])
            return {"op": "part", "part": (facts[0] * n // inp[0], facts[1] * n // inp[0], n)}
        case "scale":
            return {"op": "scale", "learned": facts[0], "start": facts[1] if facts[0] == "no" else 1.0}
        case "shuffle":
            return {"op": "shuffle", "groups": facts[0]}
        case "global":
            return {"op": "global", "size": facts[0]}
        case "add" | "multiply" | "join":
            return {"op": node.kind}
    return None


def norm(node: Node, style: Style) -> dict[str, Any]:
    """The network's norm, or another by its name."""
    numbers: dict[str, Any] = {"eps": node.facts[-1]}
    if node.kind == "norm":
        numbers["decay"] = node.facts[1]
    if node.kind == "group_norm":
        numbers["groups"] = node.facts[1]
    usual = {"eps": style.norm_eps, "decay": style.norm_decay, "groups": style.norm_groups}
    if NORMS[node.kind] == style.norm and all(usual[name] == number for name, number in numbers.items()):
        return {"op": "norm"}
    return {"op": "batch_norm" if node.kind == "norm" else node.kind, **numbers}


def conv(graph: TraceGraph, value: int, style: Style) -> dict[str, Any] | None:
    channels, window, stride, groups, bias, _, dilation, standardise = graph.nodes[value - 1].facts
    each = 1 < groups == channels == graph.shapes[graph.nodes[value - 1].inputs[0]][0]
    padding = padded(graph, value, 5, spread(window, dilation[0]), stride, style)
    if dilation[0] != dilation[1] or padding == ():
        return None
    found = {"op": "conv", "channels": channels, "kernel": single(window), "stride": single(stride), "bias": bias}
    found |= {"standardise": standardise, "channels": 0 if each else channels}
    return found | {"groups": EACH if each else groups, "dilation": dilation[0], "padding": padding}


def pool(graph: TraceGraph, value: int, style: Style) -> dict[str, Any] | None:
    kind, window, stride, pads, counted, _ = graph.nodes[value - 1].facts
    padding = padded(graph, value, 3, window, stride, style)
    if window[0] != window[1] or stride[0] != stride[1] or padding == ():
        return None
    ceil = any(  # where the last windows were filled up
        node.facts[5][axis] != output_size(shape[axis + 1], window[axis], stride[axis], *node.facts[3][axis])
        for node, shape in places(graph, value)
        for axis in (0, 1)
    )
    found = {"op": kind, "kernel": window[0], "stride": stride[0], "ceil": ceil, "padding": padding}
    return found | {"count_padding": counted and pads != NO_PADS}


def places(graph: TraceGraph, value: int) -> list[tuple[Node, Shape]]:
    """The node that makes `value`, at every size that was looked into, and the shape that it reads."""
    nodes = [(each, each.nodes[value - 1]) for each in (graph, *graph.twins)]
    return [(node, each.shapes[node.inputs[0]]) for each, node in nodes]


def padded(
    graph: TraceGraph, value: int, fact: int, reach: Pair, stride: Pair, style: Style
) -> Padding | tuple[()] | None:
    """The padding that has the zeros of a window at every size: None for the network's, () where there is none."""
    first = graph.nodes[value - 1].facts[fact]
    rules: list[Padding] = [style.padding, "symmetric", "same", "valid", "shifted"]
    if first[0][0] == first[0][1] and first[1][0] == first[1][1]:
        rules.append(first[0][0] if first[0] == first[1] else (first[0][0], first[1][0]))
    for rule in rules:
        if all(
            padding_pair(rule, shape[axis + 1], reach[axis], stride[axis], axis) == node.facts[fact][axis]
            for (node, shape), axis in product(places(graph, value), (0, 1))
        ):
            return None if rule == style.padding else rule
    return ()


def single(sides: Pair) -> int | Pair:
    return sides[0] if sides[0] == sides[1] else sides


def alike(graph: TraceGraph, start: int, end: int) -> dict[int, int]:
    """Convolutions that must have as many channels as another value has, so that sums go on fitting: value to value.

    −1 stands for the stage's channels: those of the convolution that they leave the block by.
    """
    found: dict[int, int] = {}

    def origin(value: int) -> int:
        """The value whose channels are decided where `value` has its own."""
        while value > start:
            node = graph.nodes[value - 1]
            if value in found and found[value] >= start:
                value = found[value]
            elif node.kind in SAME_CHANNELS or node.kind in ("add", "multiply") or follows(graph, value):
                value = max(node.inputs[0], start)
            else:
                break
        return value

    for value in range(start + 1, end + 1):
        node = graph.nodes[value - 1]
        if node.kind not in ("add", "multiply"):
            continue
        for one, other in pairwise(sorted({origin(max(i, start)) for i in node.inputs})):
            if graph.nodes[other - 1].kind in ("conv", "linear") and other not in found:
                found[other] = one
    last = origin(end)
    if last > start and graph.nodes[last - 1].kind in ("conv", "linear"):
        found[last] = -1
    return found


def follows(graph: TraceGraph, value: int) -> bool:
    """Whether a value comes of a depthwise convolution, which has the channels of what it reads."""
    node = graph.nodes[value - 1]
    return node.kind == "conv" and 1 < node.facts[3] == node.facts[0] == graph.shapes[node.inputs[0]][0]
