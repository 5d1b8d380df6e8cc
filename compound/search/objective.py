"""What an architecture search maximises: accuracy against cost, as one reward or as a front of two."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from compound.cost import cost
from compound.errors import UsageError
from compound.mapping import nearest
from compound.network import Network
from compound.search.spending import COUNTED
from compound.trials import Direction

Form = Literal["soft", "hard", "pareto"]


@dataclass(frozen=True)
class Objective:
    """ACC · (COST / T)^w with w = `cost_exponent` and T = `target` (Section 4; Tan et al. 2019, MnasNet, Equation 2).

    `soft` uses w on both sides of the target (−0.07), or `exponent_below` below it (MnasNet's α; its β is w). `hard`
    asks nothing below it and divides by the excess above it (α = 0, β = −1). `pareto` keeps accuracy and cost as two
    values. `measure` is a cost that is not counted, such as a network's seconds on a device; it must be
    picklable.
    """

    cost: str = "macs"
    target: float = 400e6  # Section 4
    form: Form = "soft"
    cost_exponent: float = -0.07
    measure: Callable[[Network], float] | None = None
    exponent_below: float | None = None

    def __post_init__(self) -> None:
        if self.measure is None and self.cost not in COUNTED:
            raise UsageError(f"there is no cost {self.cost!r}; {nearest(self.cost, COUNTED, 'costs')}")
        if not (math.isfinite(self.target) and self.target > 0):
            raise UsageError(f"target {self.target} is not a positive number; give e.g. 400M")
        if not (math.isfinite(self.cost_exponent) and self.cost_exponent <= 0):
            raise UsageError(f"cost exponent {self.cost_exponent} would reward cost; use 0 or less, such as -0.07")
        below = self.exponent_below
        if below is not None and not (math.isfinite(below) and below <= 0):
            raise UsageError(f"cost exponent {below} below the target would reward cost; use 0 or less, such as -0.07")
        if below is not None and self.form != "soft":
            raise UsageError(f"the {self.form} objective has no exponent below its target; use soft, or leave it out")
        if self.form not in ("soft", "hard", "pareto"):
            raise UsageError(f"there is no form {self.form!r} of the objective; use soft, hard or pareto")

    @property
    def directions(self) -> tuple[Direction, ...]:
        return ("maximize", "minimize") if self.form == "pareto" else ("maximize",)

    def spent(self, network: Network) -> float:
        """The cost of `network` in the unit of the target."""
        if self.measure:
            return self.measure(network)
        return COUNTED[self.cost](cost(network))

    def reward(self, accuracy: float, spent: float) -> float:
        """Accuracy weighed against cost; equal to the accuracy at the target."""
        ratio = spent / self.target
        if self.form == "hard":
            return accuracy * min(1.0, 1 / ratio)
        below = self.cost_exponent if self.exponent_below is None else self.exponent_below
        exponent = below if ratio < 1 else self.cost_exponent
        return float(accuracy * ratio**exponent)

    def values(self, accuracy: float, spent: float) -> tuple[float, ...]:
        """One value a direction."""
        return (accuracy, spent) if self.form == "pareto" else (self.reward(accuracy, spent),)


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Positions of the (accuracy, cost) points that no other beats in both, the cheapest first."""
    order = sorted(range(len(points)), key=lambda i: (points[i][1], -points[i][0]))
    found: list[int] = []
    for i in order:
        if not found or points[i][0] > points[found[-1]][0]:
            found.append(i)
    return found


def knee(points: Sequence[tuple[float, float]]) -> int | None:
    """The point of the front that lies farthest above the line between its ends, cost by its logarithm.

    After it, accuracy costs more than on the average of the front. None without points; the cheapest of two.
    """
    on = front(points)
    if not on:
        return None
    (low, cheap), (high, dear) = points[on[0]], points[on[-1]]
    if len(on) < 3:
        return on[0]

    def above(i: int) -> float:
        accuracy, spent = points[i]
        along = math.log(spent / cheap) / math.log(dear / cheap)
        return (accuracy - low) / (high - low) - along

    return max(on, key=above)
