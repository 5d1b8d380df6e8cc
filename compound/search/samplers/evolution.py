"""Regularised evolution (Real et al. 2019, AmoebaNet, Algorithm 1)."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution

from compound.errors import UsageError
from compound.trials import HistorySampler, Parameters, Past, Screen


class RegularizedEvolution(HistorySampler):
    """The population is the last `population` finished trials: the oldest dies, however good it is.

    The best of `sample` of them, drawn at random, is the parent; its child differs in one choice. The first
    `population` trials are random. The defaults are the paper's (Section 3.4).
    """

    def __init__(
        self,
        distributions: Mapping[str, BaseDistribution],
        seed: int = 0,
        population: int = 100,
        sample: int = 25,
        screen: Screen | None = None,
        draws: int = 8,
    ) -> None:
        super().__init__(distributions, seed, screen, draws)
        if not 1 <= sample <= population:
            raise UsageError(f"sample {sample} of a population of {population} is not possible; use e.g. 25 of 100")
        self.population, self.sample = population, sample

    def propose(self, history: Sequence[Past], rng: random.Random) -> Parameters:
        if len(history) < self.population:
            return self.drawn(rng)
        living = history[-self.population :]
        parent = max(rng.sample(living, self.sample), key=lambda past: past.value)
        return self.mutated(parent.parameters, rng)

    def mutated(self, parameters: Mapping[str, Any], rng: random.Random) -> Parameters:
        """The same with one choice made otherwise."""
        open_ = [name for name, options in self.options.items() if len(options) > 1]
        if not open_:
            return dict(parameters)
        name = rng.choice(open_)
        others = [option for option in self.options[name] if option != parameters[name]]
        return {**parameters, name: rng.choice(others)}
