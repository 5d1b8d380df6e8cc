"""Candidates written out and compared with a graph: blocks, repeats of a stage, heads."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from compound.blocks import MaxPool, Style, Wired, place
from compound.errors import NetworkError
from compound.head import Head, place_head
from compound.network import Stage
from compound.nn.reading.ahead import Proposal
from compound.nn.reading.graph import TraceGraph
from compound.nn.reading.written import written
from compound.ops import Function

NORM_KINDS = ("norm", "layer_norm", "group_norm")


@dataclass(frozen=True)
class Reading:
    """What one block can be: proposals that all write out the operators between two values of the graph."""

    proposals: tuple[Proposal, ...]
    start: int
    end: int


def fits(graph: TraceGraph, start: int, candidate: TraceGraph) -> bool:
    """Whether the candidate's operators are those behind the value `start`."""
    end, last = start + len(candidate.nodes), len(candidate.nodes)
    if not last or end > len(graph.nodes):
        return False
    return graph.keys(start, end)[end] == candidate.keys(0, last)[candidate.output]


def matched(graph: TraceGraph, start: int, one: Proposal, style: Style) -> int | None:
    """The value that the proposed block ends in, if its operators are those of the graph."""
    for each in (graph, *graph.twins):
        try:
            one.block.check(each.shapes[start][0], one.channels)
            _, trace = place(one.block, one.channels, one.stride, style, each.shapes[start])
        except (NetworkError, ValueError, ZeroDivisionError):
            return None
        candidate = written(trace)
        if not fits(each, start, candidate):
            return None
    return start + len(candidate.nodes)


def heads(graph: TraceGraph, start: int) -> Iterable[Head]:
    """Heads that the nodes behind `start` may be."""
    nodes = graph.nodes[start:]
    kinds = [node.kind for node in nodes]
    inp = graph.shapes[start]
    linears = [node.facts[1] for node in nodes if node.kind == "linear"]
    biased = [node.facts[2] for node in nodes if node.kind == "linear"][:1]
    channels = [node.facts[0] for node in nodes if node.kind == "conv"]
    if not linears and channels:
        return [Head(classify_maps=True)]
    if not linears:
        return []
    pooled = next((node.facts[0] for node in nodes if node.kind == "global"), inp[1])
    acts: list[Function] = [node.facts[0] for node in nodes[kinds.index("linear") :] if node.kind == "act"]
    first: dict[str, Any] = {
        "channels": channels[0] if channels else None,
        "hidden": tuple(linears[:-1]),
        "pool": pooled,
        "norm": kinds[0] in NORM_KINDS,
        "act": kinds[0] == "act",
        "norm_hidden": any(kind in NORM_KINDS for kind in kinds[kinds.index("linear") :]),
        "hidden_bias": len(linears) < 2 or all(biased),
        "norm_pooled": kinds[kinds.index("linear") - 1] in NORM_KINDS and "global" in kinds,
    }
    return [Head(**first, activation=act) for act in (None, *acts[:1])]


def head_at(graph: TraceGraph, start: int, style: Style) -> Head | None:
    """The head that is all there is behind `start`, if there is one."""
    if len(graph.nodes) - start > 12:
        return None
    classes, left = graph.shapes[graph.output][0], len(graph.nodes) - start

    def whole(head: Head, each: TraceGraph) -> bool:
        try:
            candidate = written(place_head(head, classes, 0.0, style, each.shapes[start])[1])
        except NetworkError:
            return False
        return len(candidate.nodes) == left and fits(each, start, candidate)

    return next(
        (head for head in heads(graph, start) if all(whole(head, each) for each in (graph, *graph.twins))), None
    )


def rows(graph: TraceGraph, readings: list[Reading], style: Style) -> tuple[Stage, ...]:
    """Blocks in stages: repeats that keep the channels and do not stride are one row."""
    usual = Counter(field for reading in readings for field in {gate(one) for one in reading.proposals})
    stages: list[list[Reading]] = []
    for reading in readings:
        ordered = sorted(reading.proposals, key=lambda one: -usual[gate(one)])
        reading = replace(reading, proposals=tuple(ordered))
        shared = repeats(graph, stages[-1], reading, style) if len(stages) > 1 else ()  # the stem stays alone
        if shared:
            stages[-1] = [replace(stages[-1][0], proposals=shared), *stages[-1][1:], reading]
        else:
            stages.append([reading])
    found = [(members[0].proposals[0], len(members)) for members in stages]
    return tuple([Stage(*one[:1], n, *one[1:], ("depth",) if once(one) else ()) for one, n in found])


def once(one: Proposal) -> bool:
    """Whether a block is not repeated in a deeper network: pooling, and what changes its input's shape."""
    if isinstance(one.block, Wired):
        return one.stride > 1 or not one.block.keeps_channels
    return isinstance(one.block, MaxPool)


def gate(one: Proposal) -> object:
    """The block's squeeze-and-excitation, of which one network mostly has one kind."""
    return getattr(one.block, "se", 0)


def repeats(graph: TraceGraph, stage: list[Reading], reading: Reading, style: Style) -> tuple[Proposal, ...]:
    """The proposals for the first block of a stage that are true of its other blocks and of `reading` too."""
    first = stage[0].proposals[0]
    also = [one for one in reading.proposals if one.channels == first.channels and one.stride == 1]
    if not also:
        return ()
    tried = dict.fromkeys((*stage[0].proposals, *(one._replace(stride=first.stride) for one in also)))

    def true(one: Proposal, member: Reading) -> bool:
        return one in member.proposals or matched(graph, member.start, one, style) == member.end

    return tuple(
        one
        for one in tried
        if true(one, stage[0]) and all(true(one._replace(stride=1), member) for member in (*stage[1:], reading))
    )
