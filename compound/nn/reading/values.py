"""What torch holds while a graph is written: values, weights, and the graph so far."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from compound.nn.reading.graph import NO_PADS, Node, Pads, TraceGraph
from compound.ops import Shape
from compound.rounding import Pair

Arguments = dict[str, Any]


class Value(NamedTuple):
    """A value of the graph as torch holds it: with zeros around it for the next window, channels in groups or last."""

    number: int
    pads: Pads = NO_PADS
    fill: float = 0.0
    mirrored: bool = False  # what stands around it
    groups: int = 0
    swapped: bool = False
    last: bool = False  # the channels
    line: bool = False  # (N, 1, C) in place of (N, C)


class Weight(NamedTuple):
    """A parameter or buffer of the module, times `factor`; with `eps`, standardised over the fan-in of each output.

    A standardised one may have a learned `gain`.
    """

    name: str
    shape: tuple[int, ...]
    factor: float = 1.0
    eps: float | None = None
    gain: "Weight | None" = None
    learned: bool = True  # a parameter

    @property
    def size(self) -> int:
        return math.prod(self.shape)


STATISTICS = ("running_mean", "running_var")


class NotInAlphabet(Exception):
    """Nothing in the alphabet stands for an operator; the message says why where its name does not."""


class Capture:
    """The graph while it is written, and what was seen beside it."""

    def __init__(self, shape: Shape, tensors: Mapping[str, Any] = {}) -> None:
        self.graph = TraceGraph(shape)
        self.tensors = tensors  # the module's own by name, for what stands for an operator without weights
        self.used: set[str] = set()
        self.made: dict[str, Weight] = {}  # weights that are not carried over as they are
        self.dropout = 0.0  # of the last dropout
        self.where = ""

    def put(self, node: Node | None, inputs: list[Any], output: Any, **tensors: Weight | None) -> Value:
        """The value of `node` on `inputs`, of the shape of torch's `output`; None stands for the identity."""
        numbers = tuple([self.plain(each) for each in inputs])
        if node is None:
            return Value(numbers[0])
        given = {word: tensor for word, tensor in tensors.items() if tensor is not None}
        names = {word: tensor.name for word, tensor in given.items()}
        for word, name in names.items():
            if word not in STATISTICS and not given[word].learned:
                raise NotInAlphabet(f"with numbers that are not learned, {name},")
            if name in self.used:
                raise NotInAlphabet(f"which uses {name} a second time")
            self.used.add(name)
        self.made |= {t.name: t for t in given.values() if t.factor != 1 or t.eps is not None}
        node = node._replace(inputs=numbers, weights=tuple(names.items()), where=self.where)
        return Value(self.graph.add(node, output if isinstance(output, tuple) else whole(output)))

    def plain(self, given: Any) -> int:
        """The number of a value that is nothing but a value; zeros around it become an operator."""
        if not isinstance(given, Value) or given.groups or given.last or given.line or given.mirrored:
            raise NotInAlphabet("on what is not a map")
        if given.pads != NO_PADS:
            if given.fill != 0:
                raise NotInAlphabet(f"behind an edge of {given.fill:g}")
            (channels, rows, columns), (above, beside) = self.graph.shapes[given.number], given.pads
            shape = (channels, rows + sum(above), columns + sum(beside))
            return self.graph.add(Node("pad", given.pads, (given.number,), where=self.where), shape)
        return given.number

    def anyhow(self, node: Node | None, given: Any, **tensors: Weight | None) -> Value:
        """The value of an operator on every position by itself, for which channels may stand last."""
        if not (isinstance(given, Value) and given.last):
            raise NotInAlphabet("on what is not a map")
        shape = self.graph.shapes[given.number]
        if node is not None and node.kind in ("conv", "linear") and (weight := tensors["weight"]) is not None:
            shape = (weight.shape[0], *shape[1:])
        value = self.put(node, [given._replace(last=False)], shape, **tensors)
        return value._replace(last=True)

    def window(self, given: Any, padding: Any, fill: float = 0.0) -> tuple[Value, Shape, Pads]:
        """What a window slides over: the value, its shape, and all that stands around it."""
        if isinstance(given, Value) and given.pads != NO_PADS and given.fill != fill:
            given = Value(self.plain(given))
        if isinstance(given, Value) and given.mirrored:
            raise NotInAlphabet("behind a mirrored edge")
        if not isinstance(given, Value) or given.groups or given.last:
            raise NotInAlphabet("on what is not a map")
        (rows, columns), ((top, bottom), (left, right)) = pair(padding), given.pads
        pads = ((top + rows, bottom + rows), (left + columns, right + columns))
        return Value(given.number), self.graph.shapes[given.number], pads


def whole(output: Any) -> Shape:
    """(channels, rows, columns) of a tensor (N, C), or (N, C, H, W)."""
    if len(output.shape) not in (2, 4):
        raise NotInAlphabet(f"making a value of shape {tuple(output.shape)}")
    channels, rows, columns = (*output.shape[1:], 1, 1)[:3]
    return channels, rows, columns


def pair(value: Any) -> Pair:
    values = [value] if isinstance(value, int) else list(value)
    return values[0], values[-1]
