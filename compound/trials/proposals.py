"""The next configuration: of the sampler, or the next one of a sweep over all there are.

A draw is a pure function of the seed, of how many places were taken before, and of the history that the sampler reads:
a fresh sampler is made for every draw. So a search with one worker chooses the same after any number of restarts.
"""

import hashlib
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from compound.errors import CompoundError, UsageError
from compound.mapping import nearest
from compound.trials.board import configuration
from compound.trials.problem import Problem

DRAWS = 50  # of the sampler, before the sweep takes over
STUBBORN = 4  # draws of configurations that are taken, after which the sampler is not asked again
RANDOM_DRAWS = 1000  # where the space is too large for a sweep
SWEEP_LIMIT = 100_000  # configurations that a sweep may have to look through


@dataclass(frozen=True)
class Strategy:
    """How configurations are chosen. `sampler(seed)` makes a sampler for one draw; None sweeps over all of them."""

    name: str
    sampler: Callable[[int], BaseSampler] | None


def _tpe(seed: int) -> BaseSampler:
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=8, constant_liar=True)


def _gp(seed: int) -> BaseSampler:
    return optuna.samplers.GPSampler(seed=seed, n_startup_trials=8, deterministic_objective=False)


class _NSGAII(optuna.samplers.NSGAIISampler):
    """Optuna's, with parents in one order: its own is another where a generation was begun before (and cached)."""

    def get_parent_population(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
        return sorted(super().get_parent_population(study, generation), key=lambda trial: trial.number)


def _nsga2(seed: int) -> BaseSampler:
    return _NSGAII(seed=seed, population_size=10)


def _random(seed: int) -> BaseSampler:
    return optuna.samplers.RandomSampler(seed=seed)


STRATEGIES = {
    strategy.name: strategy
    for strategy in (
        Strategy("grid", None),
        Strategy("random", _random),
        Strategy("tpe", _tpe),
        Strategy("gp", _gp),
        Strategy("nsga2", _nsga2),
    )
}


def find_strategy(name: str, known: Mapping[str, Strategy] = STRATEGIES) -> Strategy:
    if name not in known:
        raise UsageError(f"there is no sampler {name!r}; {nearest(name, known, 'samplers')}")
    return known[name]


class Proposer:
    """Proposes configurations that are feasible and that no trial has; keeps what it learnt to be infeasible."""

    def __init__(
        self,
        problem: Problem,
        strategy: Strategy,
        seed: int,
        repeats: bool = False,
        first: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self.problem, self.strategy, self.seed, self.repeats, self.first = problem, strategy, seed, repeats, first
        self.distributions = dict(problem.distributions())
        if not self.distributions:
            raise UsageError(f"the space of {problem.name} is empty: it has no field to choose")
        self._infeasible: set[str] = set()
        self._order: list[tuple[Any, ...]] | None = None

    def propose(self, study: optuna.Study, ticket: FrozenTrial, place: int, taken: set[str]) -> dict[str, Any] | None:
        """Parameters for `ticket`, which has `place` taken places before it; None when the space is exhausted."""
        for parameters in self._candidates(study, ticket, place, taken):
            key = configuration(parameters)
            if (key not in taken or self.repeats) and self._feasible(parameters, key):
                return parameters
        return None

    def _candidates(
        self, study: optuna.Study, ticket: FrozenTrial, place: int, taken: set[str]
    ) -> Iterator[dict[str, Any]]:
        yield from map(dict, self.first[place:])
        if self.strategy.sampler:
            stubborn = 0
            for attempt in range(DRAWS):
                study.sampler = self.strategy.sampler(derived(self.seed, place, attempt))
                parameters = self._drawn(study, ticket)
                yield parameters
                stubborn += configuration(parameters) in taken
                if stubborn >= STUBBORN:
                    break
        if self._sweepable():
            yield from self._sweep()
        else:
            for attempt in range(RANDOM_DRAWS):
                study.sampler = _random(derived(self.seed, place, DRAWS + attempt))
                yield self._drawn(study, ticket)

    def _drawn(self, study: optuna.Study, ticket: FrozenTrial) -> dict[str, Any]:
        """What `Trial.suggest_*` would give, without writing it down."""
        sampler = study.sampler
        sampler.before_trial(study, ticket)
        together = sampler.sample_relative(study, ticket, sampler.infer_relative_search_space(study, ticket))
        return {
            name: together[name] if name in together else sampler.sample_independent(study, ticket, name, distribution)
            for name, distribution in self.distributions.items()
        }

    def _feasible(self, parameters: dict[str, Any], key: str) -> bool:
        if key not in self._infeasible:
            try:
                if self.problem.candidate(parameters) is not None:
                    return True
            except CompoundError:
                pass
            self._infeasible.add(key)
        return False

    def _sweepable(self) -> bool:
        sizes = [len(choices(d) or ()) for d in self.distributions.values()]
        return 0 < math.prod(sizes) <= SWEEP_LIMIT

    def _sweep(self) -> Iterator[dict[str, Any]]:
        """Every configuration, in an order that the seed shuffles, so that a part of it covers the whole."""
        if self._order is None:
            self._order = list(product(*(choices(d) or () for d in self.distributions.values())))
            random.Random(self.seed).shuffle(self._order)
        for values in self._order:
            yield dict(zip(self.distributions, values, strict=True))


def choices(distribution: BaseDistribution) -> list[Any] | None:
    """All values of a distribution, or None where there are too many to count."""
    match distribution:
        case CategoricalDistribution():
            return list(distribution.choices)
        case IntDistribution():
            return list(range(distribution.low, distribution.high + 1, distribution.step))
        case FloatDistribution(step=float(step)):
            count = math.floor((distribution.high - distribution.low) / step + 1e-9) + 1
            return [round(distribution.low + i * step, 10) for i in range(count)]
    return None


def derived(*numbers: int) -> int:
    """A seed for NumPy that follows from several numbers."""
    return int.from_bytes(hashlib.sha256(repr(numbers).encode()).digest()[:4], "little")
