"""What of a network a runtime runs as one.

A *unit* is a convolution with the norm and the activation behind it, a pooling, a sum. Its kind says what it does, its
size how much: (input channels, output channels, output positions).
"""

import math
from functools import lru_cache
from typing import NamedTuple

from compound.network import Network
from compound.ops import (
    Activation,
    Add,
    Conv,
    Depthwise,
    Dropout,
    Flatten,
    GlobalPool,
    Join,
    Linear,
    Norm,
    Operator,
    Pool,
    Reused,
    Shape,
    Step,
    Trace,
)
from compound.rounding import Padding, padding_pair

Size = tuple[int, int, int]


class Unit(NamedTuple):
    """One unit: `size` is (input channels, output channels, output positions).

    A convolution in groups has the input channels of one group; a global pooling has the positions it reads.
    """

    kind: str
    size: Size


class PlacedUnit(NamedTuple):
    """A unit in its block, and the operators it is made of."""

    unit: Unit
    steps: tuple[Step, ...]


@lru_cache(maxsize=1024)
def units(trace: Trace) -> tuple[PlacedUnit, ...]:
    """The units of one block, in order of execution. Dropout and flattening take no time of their own."""
    found: list[list[Step]] = []
    for step in trace.steps:
        last = found[-1][-1] if found else None
        if last is not None and step.inputs == (last.output,) and follows(last.operator, step.operator):
            found[-1].append(step)
        elif not isinstance(step.operator, Dropout | Flatten):
            found.append([step])
    return tuple(PlacedUnit(unit(trace, steps), tuple(steps)) for steps in found)


def unit_kinds(network: Network) -> frozenset[str]:
    """The kinds of units that a network has, with its branches as they are trained and folded."""
    return frozenset(
        placed.unit.kind
        for row in network.blocks()
        for trace in (row.trace, row.trace.deployed)
        for placed in units(trace)
    )


def follows(first: Operator, second: Operator) -> bool:
    """Whether runtimes run `second` together with `first`."""
    if isinstance(second, Norm):
        return isinstance(first, Conv | Depthwise | Reused)
    return isinstance(second, Activation) and isinstance(first, Conv | Depthwise | Linear | Reused | Norm | Add)


def unit(trace: Trace, steps: list[Step]) -> Unit:
    """Kind and size of the operators `steps`, which run as one."""
    first = steps[0]
    shape, output = trace.shapes[first.inputs[0]], trace.shapes[first.output]
    inputs = sum(trace.shapes[value][0] for value in first.inputs) if isinstance(first.operator, Join) else shape[0]
    if isinstance(first.operator, Linear):
        inputs = math.prod(shape)
    positions = shape[1] * shape[2] if isinstance(first.operator, GlobalPool) else output[1] * output[2]
    if isinstance(first.operator, Conv) and 1 < first.operator.groups < shape[0]:
        inputs = shape[0] // first.operator.groups  # what an output channel reads
    words = [kind(first.operator, shape, output), *(behind(step.operator) for step in steps[1:])]
    if words[0] == "conv 1×1" and output[1:] == (1, 1) and "norm" not in words:
        words[0] = "gate"  # weights are read once and hardly used: bound by memory
    return Unit(" ".join(word for word in words if word), (inputs, output[0], positions))


def behind(operator: Operator) -> str:
    return operator.function if isinstance(operator, Activation) else "norm"


def kind(operator: Operator, shape: Shape, output: Shape) -> str:
    """What an operator does, apart from how much of it: `conv 3×3 /2`, `depthwise 5×5`, `max 3×3 /2`."""
    if isinstance(operator, Reused):
        return kind(operator.operator, shape, output)
    if isinstance(operator, Depthwise):
        operator = operator.conv(shape[0])
    if isinstance(operator, Conv):
        stride = operator.stride if isinstance(operator.stride, int) else operator.stride[0]
        grouped = "grouped conv" if operator.groups > 1 else "conv"
        name = "depthwise" if operator.groups == shape[0] > 1 else grouped
        dilation = "" if operator.dilation == 1 else f" dilated {operator.dilation}"
        return window(name + dilation, operator.window, stride, operator.padding, shape)
    if isinstance(operator, Pool):
        return window(operator.kind, (operator.kernel, operator.kernel), operator.stride, operator.padding, shape)
    if isinstance(operator, GlobalPool):
        return "global pool" if operator.size == 1 else f"global pool to {operator.size}"
    if isinstance(operator, Activation):
        return operator.function
    return type(operator).__name__.lower()


def window(name: str, size: tuple[int, int], stride: int, padding: Padding, shape: Shape) -> str:
    """A sliding window; zeros that are not the same on all sides cost a copy of the map, so they are named."""
    sides = [padding_pair(padding, shape[1 + axis], size[axis], stride, axis) for axis in (0, 1)]
    uneven = any(before != after for before, after in sides)
    return f"{name} {size[0]}×{size[1]}" + (f" /{stride}" if stride > 1 else "") + (" uneven" if uneven else "")
