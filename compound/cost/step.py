"""What a training step keeps for its backward pass, child by child of the built network, for one image."""

from dataclasses import dataclass
from itertools import groupby

from compound.cost.block import block_cost
from compound.cost.figures import numbers
from compound.cost.kept import Kept, joined, kept
from compound.network import Network

NOTHING = Kept(0, False, False, False, False)  # before the first child, and of one that is recomputed


@dataclass(frozen=True)
class Child:
    """A child of the built network (stem, stage1, …, head) as training's memory sees it."""

    name: str
    input: int  # numbers of the maps it reads
    macs: int
    params: int  # of its largest block
    kept: Kept


def children(network: Network) -> list[Child]:
    """The children in order; the head is one of them, and is never recomputed."""
    found = []
    for label, group in groupby(network.blocks(), key=lambda row: row.label):
        rows = list(group)
        counted = [kept(row.trace) for row in rows]
        first, last = counted[0], counted[-1]
        inputs = numbers(rows[0].input)
        if rows[0].previous is not None:
            inputs += numbers(rows[0].trace.shapes[rows[0].trace.previous])
        inside = sum(one.inside for one in counted)
        for before, one, row in zip(counted, counted[1:], rows[1:], strict=False):
            inside += numbers(row.input) if joined(before, one) else 0
        costs = [block_cost(row.trace).cost for row in rows]
        macs, largest = sum(each.training_macs for each in costs), max(each.training_params for each in costs)
        whole = Kept(inside, first.keeps_input, first.reads_input, last.keeps_output, last.output_follows)
        found.append(Child(label.replace(" ", ""), inputs, macs, largest, whole))
    return found


def keeping(order: list[Child], recompute: frozenset[str] = frozenset()) -> list[int]:
    """Numbers kept when each child is at work in the backward pass, and at the end of the forward pass.

    A child at work has been recomputed, if it must be: all before it still keep what they do, all after it have let go.
    """
    found, held = [], 0
    before = NOTHING
    for child in order:
        again = child.name in recompute
        held += child.input if again or joined(before, child.kept) else 0
        found.append(held + child.kept.inside)
        held += 0 if again else child.kept.inside
        before = NOTHING if again else child.kept
    return [*found, held]


def most_kept(order: list[Child], recompute: frozenset[str] = frozenset()) -> int:
    """Numbers kept at the fullest moment of a step when these children are recomputed."""
    return max(keeping(order, recompute))
