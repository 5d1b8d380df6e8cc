"""What lies behind a place of a graph, and the numbers that blocks are read from."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Literal, NamedTuple

from compound.blocks import Block, SqueezeExcite, Style
from compound.nn.reading.graph import Node, TraceGraph
from compound.ops import Function, Shape
from compound.rounding import round_channels, squeeze_channels

REACH = 40  # nodes of the longest block that is not one branched piece


class Proposal(NamedTuple):
    """A block with the channels and the stride of its stage."""

    block: Block
    channels: int
    stride: int


@dataclass(frozen=True)
class Ahead:
    """What lies behind the value `start`: the next nodes, and `end`, where their first branched piece ends."""

    graph: TraceGraph
    cuts: list[int]
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
    return int(node.facts[0])


def kernel(node: Node) -> int:
    return int(node.facts[1][0])


def stride(node: Node) -> int:
    return int(node.facts[2][0])


def groups(node: Node) -> int:
    return int(node.facts[3])


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
    acts: list[Function] = [node.facts[0] for node in nodes[:end] if node.kind == "act"][-2:]
    if reduce is None or len(acts) < 2:
        return
    squeezed, (act, gate) = reduce.facts[1], acts
    usual = act == style.activation and gate == "sigmoid"
    bases: tuple[tuple[Literal["input", "expanded"], int], ...] = (("input", inp), ("expanded", gated))
    for of, base in bases:
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
