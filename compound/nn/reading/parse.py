"""A graph as a network: the fewest blocks that, written out, are the graph operator by operator."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

from compound.blocks import Block, MaxPool, Style, place
from compound.errors import NetworkError
from compound.head import Head, place_head
from compound.network import Network, Stage
from compound.nn.reading.ahead import REACH, Ahead, Proposal
from compound.nn.reading.graph import NO_PADS, Graph, ReadingError, written
from compound.nn.reading.proposals import proposals


@dataclass(frozen=True)
class Reading:
    """What one block can be: proposals that all write out the operators between two values of the graph."""

    proposals: tuple[Proposal, ...]
    start: int
    end: int


def fits(graph: Graph, start: int, candidate: Graph) -> bool:
    """Whether the candidate's operators are those behind the value `start`."""
    end, last = start + len(candidate.nodes), len(candidate.nodes)
    if not last or end > len(graph.nodes):
        return False
    return graph.keys(start, end)[end] == candidate.keys(0, last)[candidate.output]


def matched(graph: Graph, start: int, one: Proposal, style: Style) -> int | None:
    """The value that the proposed block ends in, if its operators are those of the graph."""
    try:
        one.block.check(graph.shapes[start][0], one.channels)
        _, trace = place(one.block, one.channels, one.stride, style, graph.shapes[start])
    except (NetworkError, ValueError, ZeroDivisionError):
        return None
    candidate = written(trace)
    return start + len(candidate.nodes) if fits(graph, start, candidate) else None


def styles(graph: Graph) -> list[Style]:
    """What all blocks may share; raises `ReadingError` where norms differ among each other."""
    norms = {(node.kind, *node.facts[1:]) for node in graph.nodes if node.kind in ("norm", "layer_norm")}
    if len(norms) > 1:
        shown = ", ".join(f"{'batch norm with decay' if kind == 'norm' else 'layer norm with eps'} "
                          + " and eps ".join(f"{x:g}" for x in facts) for kind, *facts in sorted(norms))  # fmt: skip
        raise ReadingError(f"norms differ: {shown}; a network has one kind of norm")
    acts = Counter(str(node.facts[0]) for node in graph.nodes if node.kind == "act")
    for node in graph.nodes:
        if node.kind == "multiply":  # what is inside a gate tells nothing about the blocks
            acts.subtract(str(graph.nodes[i - 1].facts[0]) for i in node.inputs if graph.nodes[i - 1].kind == "act")
    convs = [node.facts for node in graph.nodes if node.kind == "conv"]
    uneven = any(before != after for facts in convs for before, after in facts[5])
    biased = Counter(bool(facts[4]) for facts in convs).most_common(1)
    kind, *numbers = next(iter(norms), ("none", 0.99, 1e-3))
    norm: Any = {"norm": "batch", "layer_norm": "layer"}.get(kind, "none")
    decay, eps = (0.99, *numbers)[-2:]
    first: Literal["same", "symmetric"] = "same" if uneven else "symmetric"
    return [
        Style(act, decay, eps, padding, norm, bool(norms) and biased[0][0])
        for act in [name for name, _ in acts.most_common(2)] or ["identity"]
        for padding in dict.fromkeys((first, "symmetric", "same"))
    ]


def heads(graph: Graph, start: int) -> Iterable[Head]:
    """Heads that the nodes behind `start` may be."""
    nodes = graph.nodes[start:]
    kinds = [node.kind for node in nodes]
    inp = graph.shapes[start]
    linears = [node.facts[1] for node in nodes if node.kind == "linear"]
    channels = [node.facts[0] for node in nodes if node.kind == "conv"]
    if not linears and channels:
        return [Head(classify_maps=True)]
    if not linears:
        return []
    pooled = next((node.facts[0] for node in nodes if node.kind == "global"), inp[1])
    acts = [str(node.facts[0]) for node in nodes[kinds.index("linear") :] if node.kind == "act"]
    first = {
        "channels": channels[0] if channels else None,
        "hidden": tuple(linears[:-1]),
        "pool": pooled,
        "norm": kinds[0] == "norm",
        "act": kinds[0] == "act",
        "norm_pooled": "layer_norm" in kinds[kinds.index("global") :] if "global" in kinds else False,
    }
    return [Head(**first, activation=act) for act in (None, *acts[:1])]


def head_at(graph: Graph, start: int, style: Style) -> Head | None:
    """The head that is all there is behind `start`, if there is one."""
    if len(graph.nodes) - start > 12:
        return None
    for head in heads(graph, start):
        classes = graph.shapes[graph.output][0]
        if fits(graph, start, written(place_head(head, classes, 0.0, style, graph.shapes[start])[1])):
            return head
    return None


def parsed(graph: Graph, blocks: Iterable[Block] = ()) -> tuple[list[Reading], Head, Style]:
    """Stem, blocks and head of a graph; raises `ReadingError` that says where no block goes on."""
    furthest = 0
    for style in styles(graph):
        readings, head, reached = parsed_as(graph, style, tuple(blocks))
        furthest = max(furthest, reached)
        if head is not None:
            return readings, head, style
    cuts = graph.cuts()
    end = next((cut for cut in cuts if cut > furthest), len(graph.nodes))
    nodes = graph.nodes[furthest : max(end, min(furthest + 6, len(graph.nodes)))]
    shown = ", ".join(said(node.kind, node.facts) for node in nodes[:8]) + (" …" if len(nodes) > 8 else "")
    places = list(dict.fromkeys(node.where for node in nodes))
    where = places[0] if len(places) == 1 else f"{places[0]} to {places[-1]}"
    many = f", {end - furthest} operators that no single map parts" if end - furthest > REACH else ""
    raise ReadingError(f"no block is what stands at {where or 'the end'}{many}: {shown}")


def said(kind: str, facts: tuple[object, ...]) -> str:
    """A node in words: `conv 3×3 to 64 in 32 groups`."""
    if kind == "conv":
        channels, (rows, columns), _, groups, bias, pads, _ = facts
        words = [f"conv {rows}×{columns} to {channels}", f"in {groups} groups" if groups > 1 else ""]
        words += ["with bias" if bias else "", "unpadded" if pads == NO_PADS and rows > 1 else ""]
        return " ".join(filter(None, words))
    return f"{kind} {facts[0]}" if kind in ("act", "pool") else kind


def parsed_as(graph: Graph, style: Style, blocks: tuple[Block, ...]) -> tuple[list[Reading], Head | None, int]:
    """The reading of fewest blocks in one style, its head (None without one), and how far any reading came."""
    cuts = graph.cuts()
    following = dict(pairwise(cuts))
    best: dict[int, list[Reading]] = {0: []}
    done: list[tuple[list[Reading], Head]] = []
    furthest = 0
    for start in cuts:
        if start not in best or start not in following:
            continue
        furthest = start
        head = head_at(graph, start, style) if len(best[start]) > 1 else None
        if head is not None:
            done.append((best[start], head))
        for reading in readings_at(Ahead(graph, cuts, start, following[start], style), blocks):
            end = reading.end
            if end in following and (end not in best or len(best[start]) + 1 < len(best[end])):
                best[end] = [*best[start], reading]
    if not done:
        return [], None, furthest
    readings, head = min(done, key=lambda found: (len(found[0]), found[1].act or found[1].norm))
    return readings, head, furthest


def readings_at(ahead: Ahead, blocks: tuple[Block, ...]) -> list[Reading]:
    """The readings of what lies ahead, one for each value that a block can end in."""
    found: dict[int, dict[Proposal, None]] = {}
    for one in (*own(ahead, blocks), *proposals(ahead)):
        end = matched(ahead.graph, ahead.start, one, ahead.style)
        if end is not None:
            found.setdefault(end, {})[one] = None
    return [Reading(tuple(ones), ahead.start, end) for end, ones in found.items()]


def own(ahead: Ahead, blocks: tuple[Block, ...]) -> Iterable[Proposal]:
    """A user's own blocks, with the channels and strides of the values where they could end."""
    near = [cut for cut in ahead.cuts if ahead.start < cut <= ahead.end + REACH]
    shapes = [ahead.graph.shapes[cut] for cut in near]
    ends = dict.fromkeys((channels, round(ahead.inp[1] / rows)) for channels, rows, _ in shapes)
    return [Proposal(block, *end) for block in blocks for end in ends if end[1]]


def rows(graph: Graph, readings: list[Reading], style: Style) -> tuple[Stage, ...]:
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
    once = ("depth",)  # pooling is not repeated in a deeper network
    return tuple([Stage(*one[:1], n, *one[1:], once if isinstance(one.block, MaxPool) else ()) for one, n in found])


def gate(one: Proposal) -> object:
    """The block's squeeze-and-excitation, of which one network mostly has one kind."""
    return getattr(one.block, "se", 0)


def repeats(graph: Graph, stage: list[Reading], reading: Reading, style: Style) -> tuple[Proposal, ...]:
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


def network_of(name: str, graph: Graph, resolution: int, dropout: float, blocks: Iterable[Block] = ()) -> Network:
    """The network that a graph is."""
    readings, head, style = parsed(graph, blocks)
    stem, *stages = rows(graph, readings, style)
    return Network(name, replace(stem, fixed=()), tuple(stages), head, resolution, dropout, style=style)
