"""What a network costs, counted from its operators without building it.

Counting convention: multiply-adds (MACs) of convolutions and linear layers for one image; biases, normalisation,
activations, pooling and element-wise joins count none. The paper prints this figure as "FLOPS". Parameters are the
learnable ones. Activations are the outputs of convolutions and linear layers (as in Dollár et al. 2021). Memory is
in bytes.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

from compound.network import Network, Row
from compound.ops import (
    Activation,
    Conv,
    Depthwise,
    Dropout,
    Flatten,
    Linear,
    Operator,
    Pool,
    Reused,
    Shape,
    Slice,
    Trace,
    spread,
)
from compound.rounding import padding_pair

WEIGHTED = (Conv, Depthwise, Linear, Reused)
IDENTITY = Activation("identity")

CONVENTION = (
    "MACs = multiply-adds of convolutions and linear layers for one image (print says FLOPS); "
    "norms, activations, pooling and joins count none"
)


def numbers(shape: Shape) -> int:
    """How many numbers a value of this shape holds."""
    channels, height, width = shape
    return channels * height * width


@dataclass(frozen=True)
class Cost:
    """Counts for one image. `kept` and `live` are numbers (not bytes); see the memory methods."""

    params: int = 0
    macs: int = 0
    activations: int = 0
    buffers: int = 0  # running statistics of norms
    kept: int = 0  # numbers that training keeps for the backward pass
    live: int = 0  # numbers that inference holds at its fullest moment
    training: int = 0  # numbers that training holds at its fullest moment: what is kept so far, and a block's own
    latency: float = 0.0  # seconds on a budget's device; 0 where none is asked for

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.params + other.params,
            self.macs + other.macs,
            self.activations + other.activations,
            self.buffers + other.buffers,
            self.kept + other.kept,
            max(self.live, other.live),
            max(self.training, self.kept + other.training),
            self.latency + other.latency,
        )

    def memory(self, batch: int = 1, bytes_each: int = 4) -> int:
        """Bytes of inference: weights, running statistics, and the values alive at the fullest moment."""
        return bytes_each * (self.params + self.buffers + batch * self.live)

    def training_memory(self, batch: int, slots: int = 2, ema: bool = True, bytes_each: int = 4) -> int:
        """Bytes of training: weights, gradients, `slots` optimiser numbers a weight, EMA, and what backward keeps.

        RMSProp with momentum and Adam have two slots, SGD with momentum one. The working space of single
        operators (a convolution's columns) is not in it.
        """
        state = self.params * (2 + slots + ema) + self.buffers * (1 + ema)
        return bytes_each * (state + batch * max(self.kept, self.training))


class Part(NamedTuple):
    """The cost of one traced operator, with what happens at its edges, where it meets its neighbours."""

    cost: Cost  # `kept` leaves out the values at the two edges
    keeps_input: bool
    keeps_output: bool
    keeps_previous: bool


@lru_cache(maxsize=256)
def part(trace: Trace) -> Part:
    """Fold the leaf operators of one block. A trace is compared by identity; `place` shares equal ones."""
    shapes = trace.shapes
    sizes = [numbers(shape) for shape in shapes]
    params = macs = activations = buffers = kept_aside = 0
    kept: set[int] = set()
    for _, operator, values, output in trace.steps:
        inputs = [shapes[value] for value in values]
        params += operator.params(*inputs)
        macs += operator.macs(*inputs)
        buffers += operator.buffers(*inputs)
        kept_aside += operator.keeps_aside(*inputs)
        if isinstance(operator, WEIGHTED):
            activations += sizes[output]
        if operator.keeps_input:
            kept.update(values)
        if operator.keeps_output:
            kept.add(output)
    inside = kept_aside + sum([sizes[value] for value in kept - {0, trace.previous, trace.output}])
    live = fullest(trace, sizes)
    cost = Cost(params, macs, activations, buffers, inside, live, live)
    return Part(cost, 0 in kept, trace.output in kept, trace.previous in kept)


def fullest(trace: Trace, sizes: list[int]) -> int:
    """Numbers alive at the fullest moment: a value dies after the last operator that reads it.

    A chain of torch modules holds its input until it ends, however early its first part has read it; a cell its states.
    What passes a value on, or shows a part of it, holds that value and makes none.
    """
    steps = trace.steps
    sizes = sizes.copy()
    last_use = {value: index for index, (_, _, values, _) in enumerate(steps) for value in values}
    last_use |= dict.fromkeys(trace.held, len(steps) - 1)
    last_use[trace.output] = len(steps)
    if trace.outlives is not None:
        last_use[trace.outlives] = len(steps)
    begins: dict[str, int] = {}  # by chain: the value it was given
    for index, (path, _, values, _) in enumerate(steps):
        chain, dot, _ = (path if trace.apart else f".{path}").rpartition(".")
        while dot:
            given = begins.setdefault(chain, values[0])
            last_use[given] = max(last_use[given], index)
            chain, dot, _ = chain.rpartition(".")
    for _, operator, values, output in reversed(steps):
        if isinstance(operator, Dropout | Flatten | Slice) or operator == IDENTITY:
            sizes[output] = 0
            last_use[values[0]] = max(last_use[values[0]], last_use.get(output, 0))
    dying = [0] * (len(steps) + 1)
    for value, index in last_use.items():
        dying[index] += sizes[value]
    most = alive = sum(sizes[: trace.previous + 1])
    for (_, operator, values, output), dies in zip(steps, dying, strict=False):
        alive += sizes[output]
        most = max(most, alive + padded(operator, trace.shapes[values[0]]))
        alive -= dies
    return most


def padded(operator: Operator, shape: Shape) -> int:
    """Numbers of the copy that a window makes of its input where the zeros around it are not the same on all sides."""
    if isinstance(operator, Depthwise):
        operator = operator.conv(shape[0])
    if not isinstance(operator, Conv | Pool):
        return 0
    channels, *sides = shape
    if isinstance(operator, Conv):
        reach = spread(operator.window, operator.dilation)
        strides = operator.stride if isinstance(operator.stride, tuple) else (operator.stride, operator.stride)
    else:
        reach, strides = (operator.kernel, operator.kernel), (operator.stride, operator.stride)
    pairs = [padding_pair(operator.padding, sides[i], reach[i], strides[i], i) for i in (0, 1)]
    if all(before == after for before, after in pairs):
        return 0
    rows, columns = (side + before + after for side, (before, after) in zip(sides, pairs, strict=True))
    return channels * rows * columns


def beside(rows: tuple[Row, ...]) -> list[int]:
    """Numbers that are held beside each row while it runs: the image, and what its stage was given."""
    image, given, held = numbers(rows[0].input), 0, []
    for row in rows:
        first = row.repeat == 1
        held.append((image if row.stage else 0) + (0 if first else given))
        given = numbers(row.input) if first else given
    return held


def row_cost(row: Row) -> Cost:
    """The cost of one block; what its input keeps is counted here, so that rows add up to the network."""
    counted = part(row.trace)
    edge = numbers(row.input) if counted.keeps_input else 0
    if row.previous is not None and counted.keeps_previous:
        edge += numbers(row.trace.shapes[row.trace.previous])
    return replace(counted.cost, kept=counted.cost.kept + edge)


def cost(network: Network) -> Cost:
    """The whole network's cost for one image of its channels × resolution × resolution."""
    params = macs = activations = buffers = kept = live = training = 0
    edge_kept = False
    inputs: list[bool] = []  # which rows' inputs are kept
    rows = network.blocks()
    for row, held in zip(rows, beside(rows), strict=True):
        one, keeps_input, keeps_output, keeps_previous = part(row.trace)
        params += one.params
        macs += one.macs
        activations += one.activations
        buffers += one.buffers
        inputs.append(edge_kept or keeps_input)
        training = max(training, kept + one.training + held)
        kept += one.kept + (numbers(row.input) if inputs[-1] else 0)
        if row.previous is not None and keeps_previous and not inputs[row.previous]:
            kept += numbers(row.trace.shapes[row.trace.previous])
            inputs[row.previous] = True
        live = max(live, one.live + held)
        edge_kept = keeps_output
    return Cost(params, macs, activations, buffers, kept, live, max(training, kept))


def stage_costs(network: Network) -> dict[str, Cost]:
    """Cost by stage, stem first and head last."""
    stages: dict[str, Cost] = {}
    rows = network.blocks()
    for row, held in zip(rows, beside(rows), strict=True):
        one = row_cost(row)
        one = replace(one, live=one.live + held, training=one.training + held)
        stages[row.label] = stages.get(row.label, Cost()) + one
    return stages


def operator_costs(row: Row) -> list[tuple[str, Operator, Shape, Cost]]:
    """Cost of every leaf operator of one block: path, operator, output shape, cost."""
    lines = []
    for step in row.trace.steps:
        inputs = tuple(row.trace.shapes[value] for value in step.inputs)
        output = row.trace.shapes[step.output]
        operator = step.operator
        activations = numbers(output) if isinstance(operator, WEIGHTED) else 0
        counted = Cost(operator.params(*inputs), operator.macs(*inputs), activations, operator.buffers(*inputs))
        lines.append((step.path, operator, output, counted))
    return lines


def cost_fields(network: Network, counted: Cost) -> dict[str, Any]:
    """A network's cost as plain values, under the names that every answer and file uses; memory in bytes."""
    return {
        "name": network.name,
        "resolution": network.resolution,
        "params": counted.params,
        "macs": counted.macs,
        "activations": counted.activations,
        "memory": counted.memory(),
        **({"latency": counted.latency} if counted.latency else {}),
    }
