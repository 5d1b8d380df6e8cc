"""Networks of equal cost on several rules' lines.

After rounding, a rule reaches only some costs: depth few, width and resolution more. So the cost they are held to may
lie a little beside the one that was asked for, where all can meet; and where that is not enough, a net's width is
trimmed by a few percent, which is the finest of the three knobs.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from compound.errors import NetworkError, UsageError
from compound.network import Network
from compound.scaling import Rule, Scaling, scale

TOLERANCE = 0.01  # between the dearest and the cheapest
WINDOW = 1.15  # factor by which the common cost may lie beside the one that was asked for
SAMPLES = 48  # of a rule's line within the window
TRIMMED = 6  # nets of a line, the nearest ones
TRIMS = tuple(sign * step / 200 for step in range(15) for sign in (1, -1))[
    1:
]  # of the width's logarithm, nearest first
FARTHEST = 12.0  # φ: 4,096 times the cost

Spent = Callable[[Network], float]


@dataclass(frozen=True)
class CostedNetwork:
    """A network on a rule's line, or, with a `trim`, a little beside it."""

    scaling: Scaling
    network: Network
    spent: float
    trim: float = 0.0


def equal_cost(baseline: Network, rules: Sequence[Rule], spent: Spent, target: float) -> list[CostedNetwork]:
    """A net for each rule, all of a cost near `target`, within `TOLERANCE` of each other where that can be had.

    `spent` says what a network costs. The cost is the nearest to `target` at which all can meet, first on their lines,
    then with widths trimmed; failing that, the one that they come nearest to.
    """
    lines = [line(baseline, rule, spent, target) for rule in rules]
    cost = meeting(lines, target)
    if any(farthest(points, cost) for points in lines):
        near = [sorted(points, key=lambda point: abs(math.log(point.spent / target)))[:TRIMMED] for points in lines]
        lines = [[trimmed for point in points for trimmed in trims(baseline, point, spent)] for points in near]
        cost = meeting(lines, target)
    return [tidy(baseline, lightest(points, cost)) for points in lines]


def line(baseline: Network, rule: Rule, spent: Spent, target: float) -> list[CostedNetwork]:
    """The rule's nets in the window around `target`, and the two next to it, cheapest first."""

    def at(phi: float) -> CostedNetwork | None:
        try:
            network = scale(baseline, rule(phi), baseline.name)
            return CostedNetwork(rule(phi), network, spent(network))
        except NetworkError:
            return None

    def reaches(cost: float, halvings: int) -> tuple[float, float]:
        low, high = -FARTHEST, FARTHEST
        for _ in range(halvings):
            middle = (low + high) / 2
            point = at(middle)
            low, high = (low, middle) if point and point.spent > cost else (middle, high)
        return low, high

    (first, _), (below, above), (_, last) = (
        reaches(target / WINDOW, 12),
        reaches(target, 24),
        reaches(target * WINDOW, 12),
    )
    if above == FARTHEST:
        raise UsageError(f"a rule does not bring {baseline.name} to {target:.4g}; choose a smaller --ratio")
    phis = [first + (last - first) * i / (SAMPLES - 1) for i in range(SAMPLES)]
    found = {point.network: point for point in map(at, [*phis, below, above]) if point}
    return sorted(found.values(), key=lambda point: point.spent)


def trims(baseline: Network, point: CostedNetwork, spent: Spent) -> list[CostedNetwork]:
    """The net with its width changed by up to 7 %, the least change of every network that makes."""
    found: dict[Network, CostedNetwork] = {}
    for trim in TRIMS:
        factors = replace(point.scaling, width=point.scaling.width * math.exp(trim))
        network = scale(baseline, factors, baseline.name) if trim else point.network
        if network not in found:
            found[network] = CostedNetwork(factors if trim else point.scaling, network, spent(network), abs(trim))
    return list(found.values())


def meeting(lines: Sequence[Sequence[CostedNetwork]], target: float) -> float:
    """The cost nearest to which all lines have points: first within the tolerance, then least trimmed, then near."""

    def order(cost: float) -> tuple[float, float, float]:
        beyond = max(farthest(points, cost) for points in lines)
        return beyond, sum(lightest(points, cost).trim for points in lines), abs(math.log(cost / target))

    costs = {point.spent for points in lines for point in points if 1 / WINDOW <= point.spent / target <= WINDOW}
    return min([target, *sorted(costs)], key=order)


def farthest(points: Sequence[CostedNetwork], cost: float) -> float:
    """How far the nearest point lies from `cost`; 0 where two such points differ by less than the tolerance."""
    off = min(abs(point.spent / cost - 1) for point in points)
    return off if off > TOLERANCE / 2.02 else 0.0


def lightest(points: Sequence[CostedNetwork], cost: float) -> CostedNetwork:
    """The least trimmed point that is near enough to `cost`, or else the nearest one."""
    near = [point for point in points if not farthest([point], cost)]
    return min(near or points, key=lambda point: (point.trim if near else 0, abs(math.log(point.spent / cost))))


def tidy(baseline: Network, point: CostedNetwork) -> CostedNetwork:
    """The same network by factors with as few digits as it allows: depth 3.5 rather than 3.481203."""
    for digits in range(1, 7):
        factors = Scaling(*(round(value, digits) or value for value in vars(point.scaling).values()))
        if scale(baseline, factors, baseline.name) == point.network:
            return replace(point, scaling=factors)
    return point
