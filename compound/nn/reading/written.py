"""The graph of a block or head as we write it."""

from functools import lru_cache

from compound import ops
from compound.nn.reading.graph import Node, TraceGraph, conv, global_pool, pool, scale
from compound.ops import Operator, Shape, Trace
from compound.rounding import padding_pair


@lru_cache(maxsize=1024)
def written(trace: Trace) -> TraceGraph:
    """The graph of a block or head that we write; its weights are named by the paths of its operators."""
    graph = TraceGraph(trace.shapes[0])
    value = {0: 0}
    for path, operator, inputs, output in trace.steps:
        shapes = [trace.shapes[i] for i in inputs]
        node = leaf(operator, shapes, trace.shapes[output])
        if node is None:
            value[output] = value[inputs[0]]
            continue
        words = WORDS.get(node.kind, ())
        if node.kind == "conv" and node.facts[-1] is not None:
            words = ("weight", "gain", "bias")
        weights = tuple((word, f"{path}.{word}") for word in words)
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
    "group_norm": ("weight", "bias"),
    "response_norm": ("weight", "bias"),
    "channel_conv": ("weight",),
    "scale": ("factor",),
}


def leaf(operator: Operator, shapes: list[Shape], output: Shape) -> Node | None:
    """The node of one of our operators, its inputs still open; None for one that changes nothing."""
    (channels, rows, columns), *_ = shapes
    match operator:
        case ops.Depthwise():
            return leaf(operator.conv(channels), shapes, output)
        case ops.Conv():
            stride = operator.stride if isinstance(operator.stride, tuple) else (operator.stride, operator.stride)
            reach, sizes = ops.spread(operator.window, operator.dilation), (rows, columns)
            above, beside = (padding_pair(operator.padding, sizes[i], reach[i], stride[i], i) for i in (0, 1))
            dilation = (operator.dilation, operator.dilation)
            filters = (operator.channels, operator.window, stride, operator.groups, operator.bias)
            return conv(shapes[0], *filters, (above, beside), dilation, operator.standardise)
        case ops.Linear():
            return Node("linear", (channels * rows * columns, operator.features, operator.bias), ())
        case ops.Norm():
            return Node("norm", (channels, operator.decay, operator.eps), ())
        case ops.LayerNorm():
            return Node("layer_norm", (channels, operator.eps), ())
        case ops.GroupNorm():
            return Node("group_norm", (channels, operator.groups, operator.eps), ())
        case ops.ResponseNorm():
            return Node("response_norm", (channels, operator.eps), ())
        case ops.ChannelConv():
            return Node("channel_conv", (operator.kernel,), ())
        case ops.Blur():
            return Node("blur", (operator.stride, operator.mirrored), ())
        case ops.Pad():
            return Node("pad", (operator.rows, operator.columns), ())
        case ops.Upsample():
            return Node("upsample", (operator.factor,), ()) if operator.factor > 1 else None
        case ops.Activation():
            return None if operator.function == "identity" else Node("act", (operator.function,), ())
        case ops.Pool():
            sizes, k, s = (rows, columns), operator.kernel, operator.stride
            above, beside = (padding_pair(operator.padding, sizes[i], k, s, i) for i in (0, 1))
            return pool(shapes[0], output, operator.kind, (k, k), (s, s), (above, beside), operator.count_padding)
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
