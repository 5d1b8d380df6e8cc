"""Graphs of leaf operators in a form in which two ways to write the same thing are equal.

Value 0 is the input; node i makes value i + 1. Flattening, dropout and identities are no nodes; padding is stated as
numbers of positions; a 1×1 convolution of a single position is a linear layer.
"""

from collections import Counter
from collections.abc import Hashable
from typing import Any, NamedTuple

from compound.errors import CompoundError
from compound.ops import Shape
from compound.rounding import Pair

Pads = tuple[Pair, Pair]  # zeros before and after: rows, columns
NO_PADS: Pads = ((0, 0), (0, 0))


class ReadingError(CompoundError):
    """A module that is not a network of this alphabet; the message names what is not."""


class Node(NamedTuple):
    """One operator: its kind, what it must share with an equal one, the values it reads, where its weights are."""

    kind: str
    facts: tuple[Any, ...]
    inputs: tuple[int, ...]
    weights: tuple[tuple[str, str], ...] = ()  # word, such as "bias", and the name of the tensor
    where: str = ""


class TraceGraph:
    """Nodes in order of execution, with the shape of every value.

    `twins` are the same model's graphs for images of other sizes, in which the same operators stand in the same places.
    """

    def __init__(self, shape: Shape) -> None:
        self.twins: list[TraceGraph] = []
        self.nodes: list[Node] = []
        self.shapes: list[Shape] = [shape]
        self.output = 0
        self._known: dict[tuple[Hashable, ...], int] = {}

    def add(self, node: Node, shape: Shape) -> int:
        """The value of `node`. What has no weights and is computed twice is one value; nested joins are prefixes."""
        if node.kind == "join":
            node = self._nested(node)
            if len(node.inputs) == 1:
                return node.inputs[0]
        known = (node.kind, node.facts, node.inputs)
        if not node.weights and known in self._known:
            return self._known[known]
        self.nodes.append(node)
        self.shapes.append(shape)
        self._known[known] = len(self.nodes)
        return len(self.nodes)

    def _nested(self, node: Node) -> Node:
        """(a, b, c) as ((a, b), c) where a value (a, b) is there already: the lists that DenseNets keep."""
        for stop in range(len(node.inputs) - 1, 1, -1):
            prefix = self._known.get(("join", (), node.inputs[:stop]))
            if prefix is not None:
                return self._nested(node._replace(inputs=(prefix, *node.inputs[stop:])))
        return node

    def pruned(self) -> "TraceGraph":
        """The graph without what the output does not need."""
        needed, waiting = {0}, [self.output]
        while waiting:
            value = waiting.pop()
            if value not in needed:
                needed.add(value)
                waiting += self.nodes[value - 1].inputs
        kept = TraceGraph(self.shapes[0])
        new = {0: 0}
        for value, node in enumerate(self.nodes, 1):
            if value in needed:
                kept.nodes.append(node._replace(inputs=tuple(new[i] for i in node.inputs)))
                kept.shapes.append(self.shapes[value])
                new[value] = len(kept.nodes)
        kept.output = new[self.output]
        return kept

    def is_twin(self, other: "TraceGraph") -> bool:
        """Whether the other graph has the same operators, apart from what depends on the size of the maps."""
        return [(n.kind, n.inputs, n.weights) for n in self.nodes] == [
            (n.kind, n.inputs, n.weights) for n in other.nodes
        ]

    def cuts(self) -> list[int]:
        """Values that everything passes through: the only places where one block can end and the next begin."""
        last_use = {i: value for value, node in enumerate(self.nodes, 1) for i in node.inputs}
        found, reach = [], 0
        for value in range(len(self.nodes) + 1):
            if reach <= value:
                found.append(value)
            reach = max(reach, last_use.get(value, 0))
        return found

    def readers(self) -> Counter[int]:
        """How many nodes read each value."""
        return Counter(i for node in self.nodes for i in set(node.inputs))

    def keys(self, start: int, stop: int) -> dict[int, int]:
        """A number for each value from `start` up to `stop`; equal numbers are equal operators on equal inputs."""
        keys = {start: _number(("input", self.shapes[start]))}
        for value in range(start + 1, stop + 1):
            node = self.nodes[value - 1]
            inputs = [keys.get(i, -1) for i in node.inputs]
            if node.kind in ("add", "multiply"):
                inputs.sort()
            keys[value] = _number((node.kind, node.facts, *inputs))
        return keys


_numbers: dict[tuple[Hashable, ...], int] = {}


def _number(key: tuple[Hashable, ...]) -> int:
    return _numbers.setdefault(key, len(_numbers))


def conv(
    shape: Shape,
    channels: int,
    window: Pair,
    stride: Pair,
    groups: int,
    bias: bool,
    pads: Pads,
    dilation: Pair,
    standardise: float | None = None,
) -> Node:
    if window == (1, 1):
        dilation = (1, 1)
        if shape[1:] == (1, 1) and groups == 1 and pads == NO_PADS and standardise is None:
            return Node("linear", (shape[0], channels, bias), ())
    return Node("conv", (channels, window, stride, groups, bias, pads, dilation, standardise), ())


def pool(shape: Shape, output: Shape, kind: str, window: Pair, stride: Pair, pads: Pads, counted: bool) -> Node | None:
    """Pooling. Whether the last windows were cut off or filled up shows in the shape of the output."""
    if kind == "average" and pads == NO_PADS and window == shape[1:] and output[1:] == (1, 1):
        return global_pool(shape, 1)
    counted = counted and kind == "average" and pads != NO_PADS
    return Node("pool", (kind, window, stride, pads, counted, output[1:]), ())


def global_pool(shape: Shape, size: int) -> Node | None:
    return None if shape[1:] == (size, size) else Node("global", (size,), ())


def scale(learned: str, start: float) -> Node | None:
    if learned != "no":
        return Node("scale", (learned,), ())
    return None if start == 1 else Node("scale", ("no", start), ())
