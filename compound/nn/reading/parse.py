"""A graph as a network: the fewest blocks that, written out, are the graph operator by operator."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any, Literal

from compound.blocks import Block, Style
from compound.blocks.wired import MOST_WIRES
from compound.head import Head
from compound.network import Network
from compound.nn.reading.ahead import REACH, Ahead, Proposal
from compound.nn.reading.graph import ReadingError, TraceGraph
from compound.nn.reading.match import Reading, head_at, matched, rows
from compound.nn.reading.proposals import proposals
from compound.nn.reading.said import arrangement
from compound.nn.reading.wires import NORMS, ends, wired
from compound.ops import Function

LISTED = 1.01  # blocks that an operator counts as which is listed by itself
SHOWN = 6  # operators that say enough where single ones lie in a row


class NoBlock(ReadingError):
    """An arrangement of operators that no block is, where maps have `side` rows."""

    def __init__(self, message: str, side: int) -> None:
        super().__init__(message)
        self.side = side


def styles(graph: TraceGraph) -> list[Style]:
    """What all blocks may share: the norm that most have, and one of the two commonest activations."""
    norms = Counter((node.kind, *node.facts[1:]) for node in graph.nodes if node.kind in NORMS)
    standardised = {node.facts[-1] for node in graph.nodes if node.kind == "conv"} - {None}
    acts = Counter[Function](node.facts[0] for node in graph.nodes if node.kind == "act")
    for node in graph.nodes:
        if node.kind == "multiply":  # what is inside a gate tells nothing about the blocks
            acts.subtract(graph.nodes[i - 1].facts[0] for i in node.inputs if graph.nodes[i - 1].kind == "act")
    convs = [node.facts for each in (graph, *graph.twins) for node in each.nodes if node.kind == "conv"]
    uneven = any(before != after for facts in convs for before, after in facts[5])
    biased = sum(2 * facts[4] - 1 for facts in convs) > 0  # most of them
    kinds: list[tuple[Any, float, float, int]] = []  # norm, decay, ε and groups
    for (kind, *numbers), _ in norms.most_common(1):
        decay, groups = (numbers[0] if kind == "norm" else 0.99), (numbers[0] if kind == "group_norm" else 32)
        kinds.append((NORMS[kind], decay, numbers[-1], groups))
    if standardised:
        kinds.append(("weights", 0.99, min(standardised), 32))
    first: Literal["same", "symmetric"] = "same" if uneven else "symmetric"
    usual: list[Function] = [name for name, _ in acts.most_common(2)]
    return [
        Style(act, decay, eps, padding, norm, norm != "weights" and bool(norms) and biased, groups)
        for norm, decay, eps, groups in kinds or [("none", 0.99, 1e-3, 32)]
        for act in dict.fromkeys((*usual, "identity"))
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
    count = end - furthest
    many = f", {count} operators that no single map parts" if count > REACH else ""
    many += f", where one block lists at most {MOST_WIRES}" if count > MOST_WIRES else ""
    shown = arrangement(graph, furthest, end)
    raise NoBlock(f"no block is what stands at {where or 'the end'}{many}: {shown}", graph.shapes[furthest][1])


def parsed_as(graph: TraceGraph, style: Style, blocks: tuple[Block, ...]) -> tuple[list[Reading], Head | None, int]:
    """The reading of fewest blocks in one style, its head (None without one), and how far any reading came."""
    cuts = graph.cuts()
    following = dict(pairwise(cuts))
    best: dict[int, tuple[float, list[Reading]]] = {0: (0, [])}
    done: list[tuple[float, list[Reading], Head]] = []
    furthest = 0
    for start in cuts:
        if start not in best or start not in following:
            continue
        furthest = start
        cost, before = best[start]
        head = head_at(graph, start, style) if len(before) > 1 else None
        if head is not None:
            done.append((cost, before, head))
        ahead = Ahead(graph, cuts, start, following[start], style)
        named = [(1.0, reading) for reading in readings_at(ahead, blocks)]
        for price, reading in (*named, *listed(ahead)):
            end = reading.end
            if end in following and (end not in best or cost + price < best[end][0]):
                best[end] = cost + price, [*before, reading]
    if not done:
        return [], None, furthest
    _, readings, head = min(done, key=lambda found: (found[0], found[2].act or found[2].norm))
    return readings, head, furthest


def listed(ahead: Ahead) -> Iterator[tuple[float, Reading]]:
    """Pieces ahead as lists of their operators, which cost more than any other block for as many."""
    for end in ends(ahead, near(ahead)):
        one = wired(ahead, end)
        if one is not None and matched(ahead.graph, ahead.start, one, ahead.style) == end:
            yield LISTED * (end - ahead.start), Reading((one,), ahead.start, end)


def readings_at(ahead: Ahead, blocks: tuple[Block, ...]) -> list[Reading]:
    """The readings of what lies ahead, one for each value that a block can end in."""
    found: dict[int, dict[Proposal, None]] = {}
    for one in (*own(ahead, blocks), *proposals(ahead)):
        end = matched(ahead.graph, ahead.start, one, ahead.style)
        if end is not None:
            found.setdefault(end, {})[one] = None
    return [Reading(tuple(ones), ahead.start, end) for end, ones in found.items()]


def near(ahead: Ahead) -> list[int]:
    """Where a block may end that begins here; without a bound, a long chain would take the cube of its length."""
    return [cut for cut in ahead.cuts if ahead.start < cut <= ahead.end + REACH]


def own(ahead: Ahead, blocks: tuple[Block, ...]) -> Iterable[Proposal]:
    """A user's own blocks, with the channels and strides of the values where they could end."""
    shapes = [ahead.graph.shapes[cut] for cut in near(ahead)]
    ends = dict.fromkeys((channels, round(ahead.inp[1] / rows)) for channels, rows, _ in shapes)
    return [Proposal(block, *end) for block in blocks for end in ends if end[1]]


def network_of(name: str, graph: TraceGraph, resolution: int, dropout: float, blocks: Iterable[Block] = ()) -> Network:
    """The network that a graph is."""
    readings, head, style = parsed(graph, blocks)
    stem, *stages = rows(graph, readings, style)
    found = Network(name, replace(stem, fixed=()), tuple(stages), head, resolution, dropout, style=style)
    return found.with_(classes=graph.shapes[graph.output][0], channels=graph.shapes[0][0])
