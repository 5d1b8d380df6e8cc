"""A graph as a network: the fewest blocks that, written out, are the graph operator by operator."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from typing import Any, Literal

from compound.blocks import Block, Style
from compound.head import Head
from compound.network import Network
from compound.nn.reading.ahead import REACH, Ahead, Proposal
from compound.nn.reading.graph import ReadingError, TraceGraph
from compound.nn.reading.match import Reading, head_at, matched, rows
from compound.nn.reading.proposals import proposals
from compound.nn.reading.said import arrangement
from compound.ops import Function

SHOWN = 6  # operators that say enough where single ones lie in a row


class NoBlock(ReadingError):
    """An arrangement of operators that no block is, where maps have `side` rows."""

    def __init__(self, message: str, side: int) -> None:
        super().__init__(message)
        self.side = side


def styles(graph: TraceGraph) -> list[Style]:
    """What all blocks may share; raises `ReadingError` where norms differ among each other."""
    norms = {(node.kind, *node.facts[1:]) for node in graph.nodes if node.kind in ("norm", "layer_norm")}
    if len(norms) > 1:
        shown = ", ".join(f"{'batch norm with decay' if kind == 'norm' else 'layer norm with eps'} "
                          + " and eps ".join(f"{x:g}" for x in facts) for kind, *facts in sorted(norms))  # fmt: skip
        raise ReadingError(f"norms differ: {shown}; a network has one kind of norm")
    acts = Counter[Function](node.facts[0] for node in graph.nodes if node.kind == "act")
    for node in graph.nodes:
        if node.kind == "multiply":  # what is inside a gate tells nothing about the blocks
            acts.subtract(graph.nodes[i - 1].facts[0] for i in node.inputs if graph.nodes[i - 1].kind == "act")
    convs = [node.facts for each in (graph, *graph.twins) for node in each.nodes if node.kind == "conv"]
    uneven = any(before != after for facts in convs for before, after in facts[5])
    biased = sum(2 * facts[4] - 1 for facts in convs) > 0  # most of them
    kind, *numbers = next(iter(norms), ("none", 0.99, 1e-3))
    norm: Any = {"norm": "batch", "layer_norm": "layer"}.get(kind, "none")
    decay, eps = (0.99, *numbers)[-2:]
    first: Literal["same", "symmetric"] = "same" if uneven else "symmetric"
    usual: list[Function] = [name for name, _ in acts.most_common(2)]
    return [
        Style(act, decay, eps, padding, norm, bool(norms) and biased)
        for act in usual or ["identity"]
        for padding in dict.fromkeys((first, "symmetric", "same"))
    ]


def parsed(graph: TraceGraph, blocks: Iterable[Block] = ()) -> tuple[list[Reading], Head, Style]:
    """Stem, blocks and head of a graph; raises `ReadingError` that says where no block goes on."""
    furthest = 0
    for style in styles(graph):
        readings, head, reached = parsed_as(graph, style, tuple(blocks))
        furthest = max(furthest, reached)
        if head is not None:
            return readings, head, style
    cuts = graph.cuts()
    end = next((cut for cut in cuts if cut > furthest), len(graph.nodes))
    end = max([cut for cut in cuts if cut <= furthest + SHOWN], default=end) if end <= furthest + SHOWN else end
    nodes = graph.nodes[furthest:end]
    places = list(dict.fromkeys(node.where for node in nodes))
    where = places[0] if len(places) == 1 else f"{places[0]} to {places[-1]}"
    many = f", {end - furthest} operators that no single map parts" if end - furthest > REACH else ""
    shown = arrangement(graph, furthest, end)
    raise NoBlock(f"no block is what stands at {where or 'the end'}{many}: {shown}", graph.shapes[furthest][1])


def parsed_as(graph: TraceGraph, style: Style, blocks: tuple[Block, ...]) -> tuple[list[Reading], Head | None, int]:
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


def network_of(name: str, graph: TraceGraph, resolution: int, dropout: float, blocks: Iterable[Block] = ()) -> Network:
    """The network that a graph is."""
    readings, head, style = parsed(graph, blocks)
    stem, *stages = rows(graph, readings, style)
    found = Network(name, replace(stem, fixed=()), tuple(stages), head, resolution, dropout, style=style)
    return found.with_(classes=graph.shapes[graph.output][0], channels=graph.shapes[0][0])
