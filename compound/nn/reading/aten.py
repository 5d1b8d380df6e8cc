"""What torch's operators are in our alphabet: a function each, from torch's arguments to a value of the graph."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from compound.nn.reading.graph import NO_PADS, Graph, Node, Pads, conv, global_pool, pool, scale
from compound.ops import Shape
from compound.rounding import Pair

Arguments = dict[str, Any]


class Value(NamedTuple):
    """A value of the graph as torch holds it: with zeros around it for the next window, channels in groups or last."""

    number: int
    pads: Pads = NO_PADS
    fill: float = 0.0
    groups: int = 0
    swapped: bool = False
    last: bool = False  # the channels


class Weight(NamedTuple):
    """A parameter or buffer of the module."""

    name: str
    shape: tuple[int, ...]


class NotInAlphabet(Exception):
    """Nothing in the alphabet stands for an operator; the message says why where its name does not."""


class Capture:
    """The graph while it is written, and what was seen beside it."""

    def __init__(self, shape: Shape) -> None:
        self.graph = Graph(shape)
        self.used: set[str] = set()
        self.dropout = 0.0  # of the last dropout
        self.where = ""

    def put(self, node: Node | None, inputs: list[Any], output: Any, **tensors: Weight | None) -> Value:
        """The value of `node` on `inputs`, of the shape of torch's `output`; None stands for the identity."""
        numbers = tuple([self.plain(given) for given in inputs])
        if node is None:
            return Value(numbers[0])
        names = {word: tensor.name for word, tensor in tensors.items() if tensor is not None}
        for name in names.values():
            if name in self.used:
                raise NotInAlphabet(f"which uses {name} a second time")
            self.used.add(name)
        node = node._replace(inputs=numbers, weights=tuple(names.items()), where=self.where)
        return Value(self.graph.add(node, output if isinstance(output, tuple) else whole(output)))

    def plain(self, given: Any) -> int:
        """The number of a value that is nothing but a value."""
        if not isinstance(given, Value) or given.groups or given.last or given.pads != NO_PADS:
            raise NotInAlphabet("on what is not a map")
        return given.number

    def anyhow(self, node: Node | None, given: Any, **tensors: Weight | None) -> Value:
        """The value of an operator on every position by itself, for which channels may stand last."""
        if not (isinstance(given, Value) and given.last):
            raise NotInAlphabet("on what is not a map")
        shape = self.graph.shapes[given.number]
        if node is not None and node.kind in ("conv", "linear"):
            shape = (tensors["weight"].shape[0], *shape[1:])  # type: ignore[union-attr]
        value = self.put(node, [given._replace(last=False)], shape, **tensors)
        return value._replace(last=True)

    def window(self, given: Any, padding: Any, fill: float = 0.0) -> tuple[Value, Shape, Pads]:
        """What a window slides over: the value, its shape, and all that stands around it."""
        if not isinstance(given, Value) or given.groups or given.last or (given.pads != NO_PADS and given.fill != fill):
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


def convolution(c: Capture, a: Arguments, output: Any) -> Value:
    weight, bias = a["weight"], a.get("bias")
    if not isinstance(weight, Weight) or len(weight.shape) != 4:
        raise NotInAlphabet("whose weights are computed, or not of two dimensions")
    window, dilation = (weight.shape[2], weight.shape[3]), pair(a["dilation"])
    same = [(size - 1) * step for size, step in zip(window, dilation, strict=True)]
    padding = {"valid": 0, "same": 0}[a["padding"]] if isinstance(a["padding"], str) else a["padding"]
    x, shape, pads = c.window(a["input"], padding)
    if a["padding"] == "same":
        pads = ((same[0] // 2, same[0] - same[0] // 2), (same[1] // 2, same[1] - same[1] // 2))
    node = conv(shape, weight.shape[0], window, pair(a["stride"]), a["groups"], bias is not None, pads, dilation)
    return c.put(node, [x], output, weight=weight, bias=bias)


def linear(c: Capture, a: Arguments, output: Any) -> Value:
    weight, bias = a["weight"], a["bias"]
    if not isinstance(weight, Weight):
        raise NotInAlphabet("whose weights are computed")
    if isinstance(a["input"], Value) and a["input"].last:  # at every position: a 1×1 convolution
        shape = c.graph.shapes[a["input"].number]
        node = conv(shape, weight.shape[0], (1, 1), (1, 1), 1, bias is not None, NO_PADS, (1, 1))
        return c.anyhow(node, a["input"], weight=weight, bias=bias)
    node = Node("linear", (weight.shape[1], weight.shape[0], bias is not None), ())
    return c.put(node, [a["input"]], output, weight=weight, bias=bias)


def batch_norm(c: Capture, a: Arguments, output: Any) -> Value:
    tensors = {word: a[word] for word in ("weight", "bias", "running_mean", "running_var")}
    if a["training"] or not all(isinstance(tensor, Weight) for tensor in tensors.values()):
        raise NotInAlphabet("without learned scale, or without running statistics")
    facts = (a["weight"].shape[0], round(1 - a["momentum"], 12), a["eps"])
    return c.put(Node("norm", facts, ()), [a["input"]], output, **tensors)


def layer_norm(c: Capture, a: Arguments, output: Any) -> Value:
    weight, bias, x = a["weight"], a["bias"], a["input"]
    if not (isinstance(weight, Weight) and isinstance(bias, Weight)) or len(a["normalized_shape"]) != 1:
        raise NotInAlphabet("without learned scale and shift, or over more than the channels")
    node = Node("layer_norm", (weight.shape[0], a["eps"]), ())
    if isinstance(x, Value) and x.last:
        return c.anyhow(node, x, weight=weight, bias=bias)
    if len(output.shape) != 2:
        raise NotInAlphabet("over what are not the channels")
    return c.put(node, [x], output, weight=weight, bias=bias)


def permute(c: Capture, a: Arguments, output: Any) -> Value:
    x, dims = a["self"], tuple(d % 4 for d in a["dims"])
    if isinstance(x, Value) and x.last and dims == (0, 3, 1, 2):
        return x._replace(last=False)
    if len(output.shape) != 4 or dims != (0, 2, 3, 1):
        raise NotInAlphabet(f"to dimensions {list(a['dims'])}")
    return Value(c.plain(x), last=True)


def activation(function: str) -> Callable[[Capture, Arguments, Any], Value]:
    def put(c: Capture, a: Arguments, output: Any) -> Value:
        if a.get("approximate", "none") != "none":
            raise NotInAlphabet("approximated")
        node = Node("act", (function,), ())
        if isinstance(a["self"], Value) and a["self"].last:
            return c.anyhow(node, a["self"])
        return c.put(node, [a["self"]], output)

    return put


def hardtanh(c: Capture, a: Arguments, output: Any) -> Value:
    if (a["min_val"], a["max_val"]) != (0, 6):
        raise NotInAlphabet(f"from {a['min_val']} to {a['max_val']}")
    return activation("relu6")(c, a, output)


def max_pool(c: Capture, a: Arguments, output: Any) -> Value:
    if pair(a["dilation"]) != (1, 1):
        raise NotInAlphabet("with dilation")
    x, shape, pads = c.window(a["self"], a["padding"], -torch.inf)
    stride = pair(a["stride"] or a["kernel_size"])
    return c.put(pool(shape, whole(output), "max", pair(a["kernel_size"]), stride, pads, False), [x], output)


def average_pool(c: Capture, a: Arguments, output: Any) -> Value:
    x, shape, pads = c.window(a["self"], a["padding"])
    if a["divisor_override"] is not None or (a["self"].pads != NO_PADS and pair(a["padding"]) != (0, 0)):
        raise NotInAlphabet("with two paddings or a divisor of its own")
    counted = a["count_include_pad"] or a["self"].pads != NO_PADS
    stride = pair(a["stride"] or a["kernel_size"])
    return c.put(pool(shape, whole(output), "average", pair(a["kernel_size"]), stride, pads, counted), [x], output)


def adaptive_pool(c: Capture, a: Arguments, output: Any) -> Value:
    rows, columns = pair(a["output_size"])
    if rows != columns:
        raise NotInAlphabet(f"to {rows}×{columns} positions")
    return c.put(global_pool(c.graph.shapes[c.plain(a["self"])], rows), [a["self"]], output)


def mean(c: Capture, a: Arguments, output: Any) -> Value:
    dims = {d % 4 for d in a["dim"] or ()}
    if dims != {2, 3} or len(a["self shape"]) != 4:
        raise NotInAlphabet(f"over dimensions {a['dim']}")
    return c.put(global_pool(c.graph.shapes[c.plain(a["self"])], 1), [a["self"]], output)


def add(c: Capture, a: Arguments, output: Any) -> Value:
    one, other = a["self"], a["other"]
    if not isinstance(other, Value) or a.get("alpha", 1) != 1:
        raise NotInAlphabet("of a number or a weight")
    if c.graph.shapes[c.plain(one)] != c.graph.shapes[c.plain(other)]:
        raise NotInAlphabet("of two shapes")
    return c.put(Node("add", (), ()), [one, other], output)


GATES = {"sigmoid": "swish", "hard_sigmoid": "hard_swish"}


def multiply(c: Capture, a: Arguments, output: Any) -> Value:
    x, other = (a["other"], a["self"]) if isinstance(a["self"], Weight) else (a["self"], a["other"])
    if isinstance(other, int | float):
        return c.put(scale("no", float(other)), [x], output)
    shape = c.graph.shapes[c.plain(x)]
    if isinstance(other, Weight):
        kind = {(): "one", (1,): "one", (shape[0], 1, 1): "channels", (1, shape[0], 1, 1): "channels"}
        if other.shape not in kind:
            raise NotInAlphabet(f"with a weight of shape {other.shape}")
        return c.put(scale(kind[other.shape], 1.0), [x], output, factor=other)
    for one, gate in ((c.plain(x), c.plain(other)), (c.plain(other), c.plain(x))):
        node = c.graph.nodes[gate - 1] if gate else None
        if node and node.kind == "act" and node.facts[0] in GATES and node.inputs == (one,):
            return c.put(Node("act", (GATES[str(node.facts[0])],), ()), [Value(one)], output)
    shapes = [shape, c.graph.shapes[c.plain(other)]]
    if (shapes[0][0], 1, 1) not in shapes or shapes[0][0] != shapes[1][0]:
        raise NotInAlphabet("of two maps")
    return c.put(Node("multiply", (), ()), [x, other], output)


def pad(c: Capture, a: Arguments, output: Any) -> Value:
    sides, x = a["pad"], a["self"]
    if a.get("mode", "constant") != "constant" or len(sides) > 4 or len(output.shape) != 4:
        raise NotInAlphabet("other than with a constant around a map")
    left, right, top, bottom = (*sides, 0, 0)[:4]
    return Value(c.plain(x), ((top, bottom), (left, right)), float(a["value"] or 0))


def regroup(c: Capture, a: Arguments, output: Any) -> Value:
    """Flattening, and the two ends of a channel shuffle."""
    x, before, after = a["self"], tuple(a["self shape"]), tuple(output.shape)
    if isinstance(x, Value) and x.swapped and len(after) == 4 and before[3:] == after[2:]:
        return c.put(Node("shuffle", (x.groups,), ()), [Value(x.number)], output)
    number = c.plain(x)
    if len(before) == 4 and len(after) == 5 and before[2:] == after[3:] and before[0] == after[0]:
        return Value(number, groups=after[1])
    if before[0] != after[0] or (len(after) != 2 and after[2:] not in ((1,), (1, 1), before[2:])):
        raise NotInAlphabet(f"of shape {before} to {after}")
    return Value(number)


def transpose(c: Capture, a: Arguments, output: Any) -> Value:
    x = a["self"]
    if not (isinstance(x, Value) and x.groups) or {a["dim0"], a["dim1"]} != {1, 2}:
        raise NotInAlphabet("")
    return x._replace(swapped=True)


def shuffle(c: Capture, a: Arguments, output: Any) -> Value:
    return c.put(Node("shuffle", (a["groups"],), ()), [a["self"]], output)


def join(c: Capture, a: Arguments, output: Any) -> Value:
    if a["dim"] % len(output.shape) != 1:
        raise NotInAlphabet(f"along dimension {a['dim']}")
    return c.put(Node("join", (), ()), a["tensors"], output)


def split(c: Capture, a: Arguments, output: Any) -> list[Value]:
    """Channels in parts, one value each."""
    if a["dim"] % len(output[0].shape) != 1:
        raise NotInAlphabet(f"along dimension {a['dim']}")
    parts, start = [], 0
    for part in output:
        stop = start + part.shape[1]
        parts.append(c.put(Node("slice", (start, stop), ()), [a["self"]], part))
        start = stop
    return parts


def cut(c: Capture, a: Arguments, output: Any) -> Value:
    size = a["self shape"][a["dim"]]
    start = min(max((a["start"] or 0) % size if (a["start"] or 0) < 0 else a["start"] or 0, 0), size)
    if a["step"] != 1 or (a["dim"] != 1 and output.shape[a["dim"]] != size):
        raise NotInAlphabet(f"along dimension {a['dim']}")
    whole_of_it = a["dim"] != 1 or output.shape[1] == size
    node = None if whole_of_it else Node("slice", (start, start + output.shape[1]), ())
    return c.put(node, [a["self"]], output)


def dropout(c: Capture, a: Arguments, output: Any) -> Any:
    c.dropout = a["p"] or c.dropout
    return a.get("input", a.get("self"))


def same(c: Capture, a: Arguments, output: Any) -> Any:
    return a["self"]


HANDLERS: dict[str, Callable[[Capture, Arguments, Any], Any]] = {
    "conv2d": convolution,
    "linear": linear,
    "batch_norm": batch_norm,
    "layer_norm": layer_norm,
    "permute": permute,
    **{name: activation(name) for name in ("relu", "relu6", "sigmoid", "gelu", "tanh")},
    "silu": activation("swish"),
    "hardswish": activation("hard_swish"),
    "hardsigmoid": activation("hard_sigmoid"),
    "hardtanh": hardtanh,
    "max_pool2d": max_pool,
    "avg_pool2d": average_pool,
    "adaptive_avg_pool2d": adaptive_pool,
    "mean": mean,
    "add": add,
    "mul": multiply,
    "pad": pad,
    "constant_pad_nd": pad,
    **dict.fromkeys(("flatten", "view", "reshape", "squeeze", "unsqueeze", "_unsafe_view"), regroup),
    "transpose": transpose,
    "channel_shuffle": shuffle,
    "cat": join,
    **dict.fromkeys(("chunk", "split", "split_with_sizes"), split),
    "slice": cut,
    "dropout": dropout,
    **dict.fromkeys(("contiguous", "clone", "alias", "detach"), same),
}
