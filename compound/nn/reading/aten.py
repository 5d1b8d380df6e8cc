"""What torch's operators are in our alphabet: a function each, from torch's arguments to a value of the graph."""

from collections.abc import Callable
from typing import Any

import torch

from compound.nn.reading import moves
from compound.nn.reading.graph import NO_PADS, Node, global_pool, pool, scale
from compound.nn.reading.responses import lengths
from compound.nn.reading.standards import moments
from compound.nn.reading.values import Arguments, Capture, NotInAlphabet, Value, Weight, pair, whole
from compound.nn.reading.weighted import batch_norm, conv1d, convolution, group_norm, layer_norm, linear


def activation(function: str) -> Callable[[Capture, Arguments, Any], Value]:
    def put(c: Capture, a: Arguments, output: Any) -> Value:
        if a.get("approximate", "none") != "none":
            raise NotInAlphabet("approximated")
        node = Node("act", (function,), ())
        x = a["self"]
        if isinstance(x, Value) and x.last:
            return c.anyhow(node, x)
        if isinstance(x, Value) and x.line:
            return c.put(node, [Value(x.number)], c.graph.shapes[x.number])._replace(line=True)
        return c.put(node, [x], output)

    return put


def leaky_relu(c: Capture, a: Arguments, output: Any) -> Value:
    if a["negative_slope"] != 0.01:
        raise NotInAlphabet(f"of slope {a['negative_slope']:g}, where 0.01 is")
    return activation("leaky_relu")(c, a, output)


def upsample(c: Capture, a: Arguments, output: Any) -> Value:
    before, after = tuple(a["self shape"])[2:], tuple(output.shape)[2:]
    factor = after[0] // before[0]
    if tuple(factor * side for side in before) != after:
        raise NotInAlphabet(f"from {before[0]}×{before[1]} to {after[0]}×{after[1]} positions")
    return c.put(Node("upsample", (factor,), ()) if factor > 1 else None, [a["input"]], output)


def subtract(c: Capture, a: Arguments, output: Any) -> Value:
    if not isinstance(a["other"], Value):
        raise NotInAlphabet("of a number or a weight")
    negative = c.put(scale("no", -1.0), [a["other"]], c.graph.shapes[c.plain(a["other"])])
    return add(c, {"self": a["self"], "other": negative, "alpha": a.get("alpha", 1)}, output)


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
    dims, rank = a.get("dim"), len(a["self shape"])
    if rank != 4 or {d % 4 for d in dims or ()} != {2, 3}:
        raise NotInAlphabet("over all dimensions" if dims is None else f"over dimensions {dims} of {rank}")
    return c.put(global_pool(c.graph.shapes[c.plain(a["self"])], 1), [a["self"]], output)


def add(c: Capture, a: Arguments, output: Any) -> Value:
    one, other = a["self"], a["other"]
    if isinstance(one, Value) and not isinstance(other, Value | Weight) and other == 0:  # where a sum begins
        return one
    if not isinstance(other, Value) or a.get("alpha", 1) != 1:
        raise NotInAlphabet("of a number or a weight")
    if c.graph.shapes[c.plain(one)] != c.graph.shapes[c.plain(other)]:
        raise NotInAlphabet("of two shapes")
    return c.put(Node("add", (), ()), [one, other], output)


def divide(c: Capture, a: Arguments, output: Any) -> Value:
    if not isinstance(a["other"], int | float) or a.get("rounding_mode"):
        raise NotInAlphabet("by what is no number")
    return c.put(scale("no", 1 / a["other"]), [a["self"]], output)


GATES = {"sigmoid": "swish", "hard_sigmoid": "hard_swish"}


def multiply(c: Capture, a: Arguments, output: Any) -> Value | Weight:
    x, other = (a["other"], a["self"]) if isinstance(a["self"], Weight) else (a["self"], a["other"])
    if isinstance(a["self"], Weight) and isinstance(a["other"], int | float):
        return a["self"]._replace(factor=a["self"].factor * a["other"])
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
    if shapes[0] != shapes[1] and ((shapes[0][0], 1, 1) not in shapes or shapes[0][0] != shapes[1][0]):
        raise NotInAlphabet("of two maps of other shapes")
    in_order = [x, other] if shapes[0] == whole(output) else [other, x]  # the gate last
    return c.put(Node("multiply", (), ()), in_order, output)


def dropout(c: Capture, a: Arguments, output: Any) -> Any:
    c.dropout = a["p"] or c.dropout
    return a.get("input", a.get("self"))


def widened(c: Capture, a: Arguments, output: Any) -> Any:
    """A gate over all positions, or one weight for every channel, which the next operator spreads by itself."""
    x = a["self"]
    if (isinstance(x, Weight) and x.size == 1) or (isinstance(x, Value) and c.graph.shapes[c.plain(x)][1:] == (1, 1)):
        return x
    if isinstance(x, Weight) and tuple(output.shape[1:]) == (1, *x.shape[2:]):  # a blur's window
        return x
    raise NotInAlphabet("of what is no gate")


def same(c: Capture, a: Arguments, output: Any) -> Any:
    return a["self"]


HANDLERS: dict[str, Callable[[Capture, Arguments, Any], Any]] = {
    "conv2d": convolution,
    "linear": linear,
    "conv1d": conv1d,
    "batch_norm": batch_norm,
    "group_norm": group_norm,
    "layer_norm": layer_norm,
    "permute": moves.permute,
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
    "sub": subtract,
    "div": divide,
    "leaky_relu": leaky_relu,
    "upsample_nearest2d": upsample,
    "linalg_vector_norm": lengths,
    "var_mean": moments,
    **dict.fromkeys(("expand", "expand_as"), widened),
    "mul": multiply,
    "pad": moves.pad,
    "constant_pad_nd": moves.pad,
    **dict.fromkeys(("flatten", "view", "reshape", "view_as", "reshape_as", "_unsafe_view"), moves.regroup),
    **dict.fromkeys(("squeeze", "unsqueeze"), moves.regroup),
    "transpose": moves.transpose,
    "channel_shuffle": moves.shuffle,
    "cat": moves.join,
    **dict.fromkeys(("chunk", "split", "split_with_sizes"), moves.split),
    "slice": moves.cut,
    "dropout": dropout,
    **dict.fromkeys(("contiguous", "clone", "alias", "detach"), same),
}
