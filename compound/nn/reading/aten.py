"""What torch's operators are in our alphabet: a function each, from torch's arguments to a value of the graph."""

from collections.abc import Callable
from typing import Any

import torch

from compound.nn.reading import moves
from compound.nn.reading.graph import NO_PADS, Node, conv, global_pool, pool, scale
from compound.nn.reading.values import Arguments, Capture, NotInAlphabet, Value, Weight, pair, whole


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
    "mul": multiply,
    "pad": moves.pad,
    "constant_pad_nd": moves.pad,
    **dict.fromkeys(("flatten", "view", "reshape", "squeeze", "unsqueeze", "_unsafe_view"), moves.regroup),
    "transpose": moves.transpose,
    "channel_shuffle": moves.shuffle,
    "cat": moves.join,
    **dict.fromkeys(("chunk", "split", "split_with_sizes"), moves.split),
    "slice": moves.cut,
    "dropout": dropout,
    **dict.fromkeys(("contiguous", "clone", "alias", "detach"), same),
}
