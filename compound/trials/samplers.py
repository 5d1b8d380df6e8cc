"""What our samplers share: a proposal is a pure function of the seed, the trial's place and the finished trials.

A place is how many trials before this one hold one: numbers also count trials that were lost with their workers.
"""

import random
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from compound.errors import UsageError
from compound.trials.board import is_void

Parameters = dict[str, Any]


@dataclass(frozen=True)
class Past:
    """A finished trial: what was tried, and what it was worth, where more is better."""

    number: int
    parameters: Parameters
    value: float


class Screen(Protocol):
    """Chooses the most promising of several proposals before one of them is evaluated; returns its position."""

    def __call__(self, proposals: Sequence[Parameters], history: Sequence[Past]) -> int: ...


class HistorySampler(BaseSampler):
    """Asks `propose` for a whole configuration. It keeps nothing between trials, so a resumed study goes on as it would
    have; what a subclass keeps is a store of what follows from the history.

    `screen` picks one of `draws` proposals.
    """

    def __init__(
        self,
        distributions: Mapping[str, BaseDistribution],
        seed: int = 0,
        screen: Screen | None = None,
        draws: int = 8,
    ) -> None:
        self.options: dict[str, tuple[Any, ...]] = {}
        for name, each in distributions.items():
            if not isinstance(each, CategoricalDistribution):
                raise UsageError(f"{name} is not a choice among options, which {type(self).__name__} needs; use tpe")
            self.options[name] = tuple(each.choices)
        self.distributions = dict(distributions)
        self.seed, self.screen, self.draws = seed, screen, draws

    @abstractmethod
    def propose(self, history: Sequence[Past], rng: random.Random) -> Parameters:
        """A configuration to try next. `history` is in order of trials; all chance comes from `rng`."""

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self.distributions

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> Parameters:
        if len(study.directions) > 1:
            raise UsageError(f"{type(self).__name__} follows one value and this search has several; use nsga2 or tpe")
        past = self._history(study)
        rng = random.Random(f"{self.seed} {_place(study, trial)}")
        if self.screen is None:
            return self.propose(past, rng)
        proposals = [self.propose(past, rng) for _ in range(self.draws)]
        return proposals[self.screen(proposals, past)]

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """For a parameter outside the space: any of its options."""
        if not isinstance(param_distribution, CategoricalDistribution):
            raise UsageError(f"{param_name} is not a choice among options, which {type(self).__name__} needs; use tpe")
        return random.Random(f"{self.seed} {_place(study, trial)} {param_name}").choice(param_distribution.choices)

    def _history(self, study: Study) -> list[Past]:
        sign = 1 if study.direction == StudyDirection.MAXIMIZE else -1
        finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return [
            Past(trial.number, trial.params, sign * float(trial.values[0]))
            for trial in finished
            if trial.params.keys() == self.options.keys()
        ]

    def drawn(self, rng: random.Random) -> Parameters:
        """Any configuration, each equally likely."""
        return {name: rng.choice(options) for name, options in self.options.items()}


def _place(study: Study, trial: FrozenTrial) -> int:
    trials = study.get_trials(deepcopy=False)
    return sum(other.number < trial.number and not is_void(other) for other in trials)


class RandomSearch(HistorySampler):
    """Every configuration equally likely. Optuna's own keeps a generator, which a resumed study begins anew."""

    def propose(self, history: Sequence[Past], rng: random.Random) -> Parameters:
        return self.drawn(rng)
