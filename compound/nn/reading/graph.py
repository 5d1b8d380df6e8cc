"""Graphs of leaf operators in a form in which two ways to write the same thing are equal.

Value 0 is the input; node i makes value i + 1. Flattening, dropout and identities are no nodes; padding is stated as
numbers of positions; a 1×1 convolution of a single position is a linear layer.
"""

from collections.abc import Hashable
from functools import lru_cache
from typing import Any, NamedTuple

from compound import ops
from compound.errors import CompoundError
from compound.ops import Operator, Shape, Trace
from compound.rounding import Pair, padding_pair

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


class Graph:
    """Nodes in order of execution, with the shape of every value."""

    def __init__(self, shape: Shape) -> None:
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

    def pruned(self) -> "Graph":
        """The graph without what the output does not need."""
        needed, waiting = {0}, [self.output]
        while waiting:
            value = waiting.pop()
            if value not in needed:
                needed.add(value)
                waiting += self.nodes[value - 1].inputs
        kept = Graph(self.shapes[0])
        new = {0: 0}
        for value, node in enumerate(self.nodes, 1):
            if value in needed:
                kept.nodes.append(node._replace(inputs=tuple(new[i] for i in node.inputs)))
                kept.shapes.append(self.shapes[value])
                new[value] = len(kept.nodes)
        kept.output = new[self.output]
        return kept

    def cuts(self) -> list[int]:
        """Values that everything passes through: the only places where one block can end and the next begin."""
        last_use = {i: value for value, node in enumerate(self.nodes, 1) for i in node.inputs}
        found, reach = [], 0
        for value in range(len(self.nodes) + 1):
            if reach <= value:
                found.append(value)
            reach = max(reach, last_use.get(value, 0))
        return found

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


@lru_cache(maxsize=1024)
def written(trace: Trace) -> Graph:
    """The graph of a block or head that we write; its weights are named by the paths of its operators."""
    graph = Graph(trace.shapes[0])
    value = {0: 0}
    for path, operator, inputs, output in trace.steps:
        shapes = [trace.shapes[i] for i in inputs]
        node = leaf(operator, shapes, trace.shapes[output])
        if node is None:
            value[output] = value[inputs[0]]
            continue
        weights = tuple((word, f"{path}.{word}") for word in WORDS.get(node.kind, ()))
        if node.kind == "scale" and node.facts[0] == "no":
            weights = ()
        node = node._replace(inputs=tuple(value[i] for i in inputs), weights=weights, where=path)
        value[output] = graph.add(node, trace.shapes[output])
    graph.output = value[trace.output]
    return graph


WORDS = {
    "conv": ("weight", "bias"),
    "linear": ("weight", "bias"),
    "norm": ("weight", "bias", "running_mean", "running_var"),
    "layer_norm": ("weight", "bias"),
    "scale": ("factor",),
}


def leaf(operator: Operator, shapes: list[Shape], output: Shape) -> Node | None:
    """The node of one of our operators, its inputs still open; None for one that changes nothing."""
    (channels, rows, columns), *_ = shapes
    match operator:
        case ops.Depthwise():
            return leaf(operator.conv(channels), shapes, output)
        case ops.Conv() if operator.standardise is None:
            stride = operator.stride if isinstance(operator.stride, tuple) else (operator.stride, operator.stride)
            reach, sizes = ops.spread(operator.window, operator.dilation), (rows, columns)
            pads = tuple(padding_pair(operator.padding, sizes[i], reach[i], stride[i], i) for i in (0, 1))
            dilation = (operator.dilation, operator.dilation)
            filters = (operator.channels, operator.window, stride, operator.groups, operator.bias)
            return conv(shapes[0], *filters, pads, dilation)
        case ops.Linear():
            return Node("linear", (channels * rows * columns, operator.features, operator.bias), ())
        case ops.Norm():
            return Node("norm", (channels, operator.decay, operator.eps), ())
        case ops.LayerNorm():
            return Node("layer_norm", (channels, operator.eps), ())
        case ops.Activation():
            return None if operator.function == "identity" else Node("act", (operator.function,), ())
        case ops.Pool():
            sizes, k, s = (rows, columns), operator.kernel, operator.stride
            pads = tuple(padding_pair(operator.padding, sizes[i], k, s, i) for i in (0, 1))
            return pool(shapes[0], output, operator.kind, (k, k), (s, s), pads, operator.count_padding)
        case ops.GlobalPool():
            return global_pool(shapes[0], operator.size)
        case ops.Slice():
            return Node("slice", (operator.start, operator.stop), ())
        case ops.Shuffle():
            return Node("shuffle", (operator.groups,), ())
        case ops.Scale():
            return scale(operator.learned, operator.start)
        case ops.Add() | ops.Multiply() | ops.Join():
            return Node(type(operator).__name__.lower(), (), ())
        case ops.Flatten() | ops.Dropout():
            return None
    return Node(type(operator).__name__, (operator,), ())


def conv(
    shape: Shape, channels: int, window: Pair, stride: Pair, groups: int, bias: bool, pads: Pads, dilation: Pair
) -> Node:
    if window == (1, 1):
        dilation = (1, 1)
        if shape[1:] == (1, 1) and groups == 1 and pads == NO_PADS:
            return Node("linear", (shape[0], channels, bias), ())
    return Node("conv", (channels, window, stride, groups, bias, pads, dilation), ())


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
