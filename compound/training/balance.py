"""Consecutive parts of a network that cost alike, by counted multiply-adds.

A backward pass costs about twice the forward one in every block, so forward is enough to divide by.
"""

from dataclasses import dataclass

from compound.cost import row_cost
from compound.errors import UsageError
from compound.network import Network


@dataclass(frozen=True)
class Split:
    """Rows of a network's table in consecutive parts, by name, and what each part costs."""

    parts: tuple[tuple[str, ...], ...]
    macs: tuple[int, ...]

    @property
    def imbalance(self) -> float:
        """How much more than its share the costliest part has: 0.1 lets the others wait a tenth of the time."""
        return max(self.macs) * len(self.macs) / sum(self.macs) - 1

    def __str__(self) -> str:
        lines = [
            f"part {number}: {names[0]} to {names[-1]}, {macs:,} MACs ({macs / sum(self.macs):.1%})"
            for number, (names, macs) in enumerate(zip(self.parts, self.macs, strict=True))
        ]
        return "\n".join([*lines, f"the costliest part has {self.imbalance:.1%} more than its share"])


def split(network: Network, parts: int) -> Split:
    """The division of `network` into `parts` whose costliest part is cheapest."""
    rows = network.blocks()
    if not 1 <= parts <= len(rows):
        raise UsageError(f"{network.name} has {len(rows)} blocks and cannot be split into {parts} parts; use fewer")
    names = ["stem", *(f"stage{row.stage}.block{row.repeat}" for row in rows[1:-1]), "head"]
    macs = [row_cost(row).training_macs for row in rows]
    ends = balanced(macs, parts)
    spans = list(zip([0, *ends[:-1]], ends, strict=True))
    return Split(tuple(tuple(names[a:b]) for a, b in spans), tuple(sum(macs[a:b]) for a, b in spans))


def balanced(costs: list[int], parts: int) -> list[int]:
    """Where each of `parts` consecutive, non-empty spans of `costs` ends, the costliest span as cheap as can be."""
    sums = [0]
    for cost in costs:
        sums.append(sums[-1] + cost)
    # best[k][end]: the costliest of k spans that cover costs[:end], and where the last of them begins.
    best: list[dict[int, tuple[int, int]]] = [{0: (0, 0)}]
    for k in range(1, parts + 1):
        fewer = [(start, costliest) for start, (costliest, _) in best[-1].items()]
        ends = range(k, len(costs) - (parts - k) + 1)
        best.append({e: min((max(most, sums[e] - sums[s]), s) for s, most in fewer if s < e) for e in ends})
    cuts = [len(costs)]
    for k in range(parts, 1, -1):
        cuts.append(best[k][cuts[-1]][1])
    return cuts[::-1]
