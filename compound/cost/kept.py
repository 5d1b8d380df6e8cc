"""What a training step keeps of a block, as `compound.nn.lean` trains it; counted from the operators.

A norm keeps its input. What it puts out, an activation behind it in the same chain, and that times a gate are computed
again from there, so convolutions that read them keep nothing more.
"""

from functools import lru_cache
from typing import NamedTuple

from compound.cost.figures import numbers
from compound.ops import Activation, Conv, Depthwise, Multiply, Norm, Trace

COMPUTED_AGAIN = ("relu", "relu6", "swish", "hard_swish")
INPUT = 0  # the number of a traced input; `SOURCE` stands for what it is computed from
SOURCE = -1


class Kept(NamedTuple):
    """Numbers for one image, and what happens at the edges, where a block meets its neighbours."""

    inside: int
    keeps_input: bool  # as it stands
    reads_input: bool  # keeps what the input is computed from: the input itself where it was not made of anything kept
    keeps_output: bool
    output_follows: bool  # from what is kept inside


@lru_cache(maxsize=256)
def kept(trace: Trace) -> Kept:
    """Fold the leaf operators of one block. A trace is compared by identity, as in `compound.cost.block`."""
    origins: dict[int, frozenset[int]] = {INPUT: frozenset((SOURCE,))}
    normed: dict[int, str] = {}  # what norms put out, and their chains
    values: set[int] = set()
    aside = 0
    for path, operator, inputs, output in trace.steps:
        aside += operator.keeps_aside(*[trace.shapes[value] for value in inputs])
        chain, first = path.rpartition(".")[0], inputs[0]
        origin = origins.get(first, frozenset((first,)))
        if isinstance(operator, Norm):
            values.add(first)
            origins[output], normed[output] = frozenset((first,)), chain
        elif isinstance(operator, Activation) and operator.function in COMPUTED_AGAIN and normed.get(first) == chain:
            origins[output] = origin
        elif isinstance(operator, Conv | Depthwise):
            values |= origin
        elif isinstance(operator, Multiply):
            values |= origin | {inputs[1]}
            if first in origins:
                origins[output] = origin | {inputs[1]}
        else:
            values.update(inputs if operator.keeps_input else ())
            values.update((output,) if operator.keeps_output else ())
    edges = {INPUT, SOURCE, trace.previous, trace.output}
    inside = aside + sum(numbers(trace.shapes[value]) for value in values - edges)
    follows = trace.output in origins and origins[trace.output] <= values - {SOURCE, INPUT}
    return Kept(inside, INPUT in values, SOURCE in values, trace.output in values, follows)


def joined(before: Kept, after: Kept) -> bool:
    """Whether the value between two blocks is kept as it stands."""
    return before.keeps_output or after.keeps_input or (after.reads_input and not before.output_follows)
