"""A study as the search engine sees it: a finite list, variants times seeds, of which every one is evaluated once."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Protocol

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from compound.errors import UsageError
from compound.network import Network
from compound.notation import dump_architecture
from compound.studies.result import SeedRun, Variant
from compound.studies.variants import Layout
from compound.trials import ERROR, Candidate, Direction, Outcome, Reporter, Strategy, configuration, is_void

MOST_SEEDS = 1000  # the space is the same however many are asked for, so that more of them go on


class Trainer(Protocol):
    """Trains a variant with a seed and judges it by the test images. Worker processes receive it by pickling."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """Plain values that identify it: data and recipe."""
        ...

    def __call__(self, variant: Variant, network: Network, seed: int, report: Reporter) -> SeedRun: ...


@dataclass(frozen=True)
class StudyProblem:
    """`Problem` of the variants of a layout and `seeds` seeds, counted from 0."""

    layout: Layout
    trainer: Trainer
    seeds: int
    directions: tuple[Direction, ...] = ("maximize",)

    def __post_init__(self) -> None:
        if not 1 <= self.seeds <= MOST_SEEDS:
            raise UsageError(f"seeds {self.seeds} is not possible; use 1 to {MOST_SEEDS}, better 5 or more")

    @property
    def name(self) -> str:
        return f"{self.layout.plan.name} study of {self.layout.baseline.name}"

    @property
    def runs(self) -> int:
        return len(self.layout.variants) * self.seeds

    def settings(self) -> Mapping[str, Any]:
        return {"variants": {v.name: self._identity(v) for v in self.layout.variants}, **self.trainer.settings}

    def distributions(self) -> Mapping[str, BaseDistribution]:
        names = tuple(variant.name for variant in self.layout.variants)
        return {"variant": CategoricalDistribution(names), "seed": IntDistribution(0, MOST_SEEDS - 1)}

    def candidate(self, parameters: Mapping[str, Any]) -> Candidate | None:
        if parameters["seed"] >= self.seeds:
            return None
        return Candidate(dict(parameters), self.layout.networks[parameters["variant"]])

    def evaluate(self, candidate: Candidate, seed: int, report: Reporter) -> Outcome:
        """Train with the candidate's own seed; `seed`, the search's, decides nothing in a study."""
        variant = next(v for v in self.layout.variants if v.name == candidate.parameters["variant"])
        run = self.trainer(variant, candidate.network, candidate.parameters["seed"], report)
        return Outcome((run.top1,), {name: value for name, value in vars(run).items() if name != "seed"})

    def strategy(self) -> Strategy:
        """Seed by seed, all variants of one before the next: a study that is cut off compares what it has."""
        return Strategy("in order", InOrder(tuple(variant.name for variant in self.layout.variants)))

    def _identity(self, variant: Variant) -> dict[str, Any]:
        digest = hashlib.sha256(dump_architecture(self.layout.networks[variant.name]).encode()).hexdigest()[:12]
        return {"macs": variant.macs, "params": variant.params, "network": digest}


@dataclass(frozen=True)
class InOrder:
    """Makes the sampler of a study; there is no chance in it, so it takes no notice of the engine's seed."""

    names: tuple[str, ...]

    def __call__(self, seed: int) -> BaseSampler:
        return _InOrder(self.names)


class _InOrder(BaseSampler):
    """Proposes the first pair of seed and variant that no trial has."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        others = (one for one in study.get_trials(deepcopy=False) if one.params and not is_void(one))
        taken = {configuration(one.params) for one in others}
        pairs = ({"variant": name, "seed": seed} for seed, name in product(range(MOST_SEEDS), self.names))
        return next(pair for pair in pairs if configuration(pair) not in taken)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        raise NotImplementedError(f"{param_name} is proposed together with the others")


def runs_of(trials: Sequence[FrozenTrial], variant: str) -> tuple[SeedRun, ...]:
    """The finished runs of a variant, in the order of their seeds."""
    found = [
        SeedRun(
            seed=trial.params["seed"],
            **{name: trial.user_attrs[name] for name in SeedRun.__annotations__ if name != "seed"},
        )
        for trial in trials
        if trial.state == TrialState.COMPLETE and trial.params["variant"] == variant
    ]
    return tuple(sorted(found, key=lambda run: run.seed))


def failures_of(trials: Sequence[FrozenTrial]) -> list[str]:
    """A sentence for each run that failed by itself."""
    failed = [trial for trial in trials if trial.state == TrialState.FAIL and not is_void(trial) and trial.params]
    said = [(t.params, str(t.user_attrs.get(ERROR, "unknown")).strip().splitlines()[-1]) for t in failed]
    return [f"{given['variant']}, seed {given['seed']}: {reason}" for given, reason in said]
