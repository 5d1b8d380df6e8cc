"""Torch's operators with weights in our alphabet: convolutions, linear layers and norms."""

from typing import Any

import torch

from compound.nn.reading.graph import NO_PADS, Node, conv
from compound.nn.reading.standards import standardised
from compound.nn.reading.values import Arguments, Capture, NotInAlphabet, Value, Weight, pair


def convolution(c: Capture, a: Arguments, output: Any) -> Value:
    weight, bias = a["weight"], a.get("bias")
    if blurred := blur(c, a, output):
        return blurred
    if not isinstance(weight, Weight) or len(weight.shape) != 4:
        raise NotInAlphabet("whose weights are computed, or not of two dimensions")
    window, dilation = (weight.shape[2], weight.shape[3]), pair(a["dilation"])
    same = [(size - 1) * step for size, step in zip(window, dilation, strict=True)]
    padding = {"valid": 0, "same": 0}[a["padding"]] if isinstance(a["padding"], str) else a["padding"]
    x, shape, pads = c.window(a["input"], padding)
    if a["padding"] == "same":
        pads = ((same[0] // 2, same[0] - same[0] // 2), (same[1] // 2, same[1] - same[1] // 2))
    stride, gain = pair(a["stride"]), weight.gain
    standardise = (
        weight.eps if gain is not None else None
    )  # without a gain, the weights are carried over as standardised
    node = conv(shape, weight.shape[0], window, stride, a["groups"], bias is not None, pads, dilation, standardise)
    weight = weight._replace(eps=None) if gain is not None else weight
    return c.put(node, [x], output, weight=weight, gain=gain, bias=bias)


def blur(c: Capture, a: Arguments, output: Any) -> Value | None:
    """A convolution of every channel with the same numbers, those of a binomial blur; None for any other."""
    x, weight, stride = a["input"], a["weight"], pair(a["stride"])
    numbers = c.tensors.get(weight.name) if isinstance(weight, Weight) and not weight.learned else None
    given = (x._replace(mirrored=False), a["padding"]) if isinstance(x, Value) else (x, a["padding"])
    if numbers is None or isinstance(a["padding"], str):
        return None
    value, shape, pads = c.window(*given)
    row = torch.tensor((0.25, 0.5, 0.25))
    binomial = tuple(numbers.shape[-2:]) == (3, 3) and (
        numbers.device.type == "meta" or bool(torch.isclose(numbers.float().cpu(), row[:, None] * row).all())
    )
    usual = pads == ((1, 1), (1, 1)) and stride[0] == stride[1] and a["groups"] == shape[0] and a["bias"] is None
    if not (binomial and usual):
        return None
    return c.put(Node("blur", (stride[0], x.mirrored), ()), [value], output)


def conv1d(c: Capture, a: Arguments, output: Any) -> Value:
    """A convolution along the channels of one position."""
    x, weight, (kernel, *_) = a["input"], a["weight"], a["weight"].shape[::-1]
    usual = a["stride"] == [1] and a["padding"] == [kernel // 2] and a["dilation"] == [1] and a["bias"] is None
    if not (isinstance(x, Value) and x.line) or weight.shape != (1, 1, kernel) or not usual or kernel % 2 == 0:
        raise NotInAlphabet("other than along the channels, with zeros beside them")
    value = c.put(Node("channel_conv", (kernel,), ()), [Value(x.number)], c.graph.shapes[x.number], weight=weight)
    return value._replace(line=True)


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


def group_norm(c: Capture, a: Arguments, output: Any) -> Value:
    weight, bias = a["weight"], a["bias"]
    if not (isinstance(weight, Weight) and isinstance(bias, Weight)):
        raise NotInAlphabet("without learned scale and shift")
    node = Node("group_norm", (weight.shape[0], a["num_groups"], a["eps"]), ())
    return c.put(node, [a["input"]], output, weight=weight, bias=bias)


def of_weights(a: Arguments) -> Weight:
    """A batch norm that standardises the weights of a convolution, (1, outputs, fan-in)."""
    weight = a["input"]
    if not a["training"] or a["running_mean"] is not None or a["bias"] is not None or weight.shape[0] != 1:
        raise NotInAlphabet("of weights")
    return standardised(weight._replace(shape=weight.shape[1:]), a["eps"], a["weight"])


def batch_norm(c: Capture, a: Arguments, output: Any) -> Value | Weight:
    if isinstance(a["input"], Weight):
        return of_weights(a)
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
