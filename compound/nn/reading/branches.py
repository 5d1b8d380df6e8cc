"""Blocks of the Inception families, their branches read off a graph."""

from collections.abc import Iterator
from dataclasses import replace

from compound.blocks import Block, Branch, Inception, InceptionResidual
from compound.blocks.inception import BranchConv
from compound.nn.reading.graph import TraceGraph

THROUGH = ("norm", "act")  # what every convolution of a branch has behind it


def step(graph: TraceGraph, value: int) -> tuple[BranchConv, int] | None:
    """The convolution that `value` leaves, as (window, channels), and the value it reads."""
    while value and graph.nodes[value - 1].kind in THROUGH:
        (value,) = graph.nodes[value - 1].inputs
    node = graph.nodes[value - 1] if value else None
    if node is None or node.kind != "conv":
        return None
    channels, window = node.facts[:2]
    square = window[0] == window[1]
    return (window[0] if square else window, channels), node.inputs[0]


def branch(graph: TraceGraph, value: int, start: int) -> Branch | None:
    """The branch that ends in `value` and begins at `start`, or None."""
    convs: list[BranchConv] = []
    ends: list[BranchConv] = []
    if value > start and graph.nodes[value - 1].kind == "join":
        found = [step(graph, end) for end in graph.nodes[value - 1].inputs]
        sources = {one[1] for one in found if one}
        if None in found or len(sources) != 1:
            return None
        ends = [one[0] for one in found if one]
        (value,) = sources
    while value > start:
        node = graph.nodes[value - 1]
        if node.kind == "pool":
            kind, *_, counted, _ = node.facts
            return Branch(tuple(convs), tuple(ends), kind, bool(counted)) if node.inputs == (start,) else None
        one = step(graph, value)
        if one is None:
            return None
        convs.insert(0, one[0])
        value = one[1]
    return Branch(tuple(convs), tuple(ends)) if value == start else None


def opened(branches: list[Branch]) -> list[Branch]:
    """The same branches, the last convolution that leaves the block with what the others leave."""
    for i, one in reversed(list(enumerate(branches))):
        if one.ends:
            branches[i] = replace(one, ends=(*one.ends[:-1], (one.ends[-1][0], 0)))
        elif one.convs:
            branches[i] = replace(one, convs=(*one.convs[:-1], (one.convs[-1][0], 0)))
        else:
            continue
        break
    return branches


def side_by_side(graph: TraceGraph, value: int, start: int) -> list[Branch] | None:
    """The branches that `value` joins."""
    ends = graph.nodes[value - 1].inputs if graph.nodes[value - 1].kind == "join" else (value,)
    found = [branch(graph, end, start) for end in ends]
    return None if None in found else [one for one in found if one]


def inceptions(graph: TraceGraph, start: int, end: int) -> Iterator[Block]:
    """Readings of the piece from `start` to `end`, and of the activation behind it."""
    node = graph.nodes[end - 1]
    if node.kind in ("join", "pool"):
        branches = side_by_side(graph, end, start)
        if branches:
            for valid in (False, True):
                yield Inception(tuple(opened(branches)), valid)
    if node.kind != "add" or start not in node.inputs:
        return
    value, scale, norm = next((i for i in node.inputs if i != start), start), 1.0, False
    while value > start and graph.nodes[value - 1].kind != "conv":
        last = graph.nodes[value - 1]
        if last.kind not in ("scale", "norm") or (last.kind == "scale" and last.facts[0] != "no"):
            return
        scale = float(last.facts[1]) if last.kind == "scale" else scale
        norm = norm or last.kind == "norm"
        (value,) = last.inputs
    if value > start:
        branches = side_by_side(graph, graph.nodes[value - 1].inputs[0], start)
        if branches:
            for act in (True, False):
                yield InceptionResidual(tuple(branches), scale, norm, act)
