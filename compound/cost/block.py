"""What one block costs: a fold over the operators of its trace."""

from functools import lru_cache
from typing import NamedTuple

from compound.cost.figures import Cost, numbers
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


class BlockCost(NamedTuple):
    """The cost of one traced operator, with what happens at its edges, where it meets its neighbours."""

    cost: Cost  # `kept` leaves out the values at the two edges
    keeps_input: bool
    keeps_output: bool
    keeps_previous: bool


@lru_cache(maxsize=256)
def block_cost(trace: Trace) -> BlockCost:
    """Fold the leaf operators of one block, as it is deployed; what a backward pass keeps is that of its branches.

    A trace is compared by identity; `place` shares equal ones.
    """
    trained = _folded(trace)
    if trace.deployed is trace:
        return trained
    many, one = trained.cost, _folded(trace.deployed).cost
    more = (many.params - one.params, many.macs - one.macs, many.buffers - one.buffers, many.live - one.live)
    counted = Cost(
        one.params, one.macs, one.activations, one.buffers, many.kept, one.live, many.training, 0, 0.0, *more
    )  # fmt: skip
    return trained._replace(cost=counted)


def _folded(trace: Trace) -> BlockCost:
    """A fold over the operators as they stand in `trace`."""
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
    return BlockCost(cost, 0 in kept, trace.output in kept, trace.previous in kept)


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
