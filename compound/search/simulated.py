"""A simulated objective over any space, whose optimum is known: strategies are compared on it, apart from noise."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from compound.search.space import Space


@dataclass(frozen=True)
class Simulated:
    """Accuracy as the sum of what each choice is worth and of what each two neighbouring choices are worth together.

    The worths are drawn by `seed`. As only neighbours interact, the optimum follows exactly from dynamic programming.
    """

    space: Space
    seed: int = 0
    interaction: float = 0.5
    alone: dict[tuple[str, Any], float] = field(init=False, repr=False)
    pairs: dict[tuple[str, Any, Any], float] = field(init=False, repr=False)
    best: float = field(init=False)
    worst: float = field(init=False)

    def __post_init__(self) -> None:
        rng = random.Random(self.seed)
        choices = self.space.choices
        alone = {(c.name, label): rng.gauss(0, 1) for c in choices for label in c.labels}
        pairs = {
            (after.name, one, two): rng.gauss(0, self.interaction)
            for before, after in pairwise(choices)
            for one in before.labels
            for two in after.labels
        }
        for name, value in (("alone", alone), ("pairs", pairs)):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "best", self._extreme(max))
        object.__setattr__(self, "worst", self._extreme(min))

    def worth(self, parameters: Mapping[str, Any]) -> float:
        """The sum of the worths."""
        names = [choice.name for choice in self.space.choices]
        total = sum(self.alone[name, parameters[name]] for name in names)
        return total + sum(
            self.pairs[after, parameters[before], parameters[after]] for before, after in pairwise(names)
        )

    def __call__(self, parameters: Mapping[str, Any]) -> float:
        """The worth on a scale where the worst configuration has 0 and the best 1."""
        return (self.worth(parameters) - self.worst) / (self.best - self.worst)

    def _extreme(self, best_of: Any) -> float:
        first, *rest = self.space.choices
        reach = {label: self.alone[first.name, label] for label in first.labels}
        for choice in rest:
            reach = {
                two: self.alone[choice.name, two]
                + best_of(value + self.pairs[choice.name, one, two] for one, value in reach.items())
                for two in choice.labels
            }
        return float(best_of(reach.values()))
