"""A worker of a search: takes a place, gets a configuration, evaluates it, records what came out, and goes on."""

import math
import os
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.pruners import BasePruner, NopPruner
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from compound.trials.board import ERROR, Board, Lost, configuration, is_settled, of_sampler
from compound.trials.liveness import Heartbeat
from compound.trials.problem import Problem
from compound.trials.proposals import STRATEGIES, Proposer, Strategy
from compound.trials.storage import join, of_storage, open_storage, reachable, without_password


@dataclass(frozen=True)
class Search:
    """A search as every process that takes part in it knows it. It is pickled into worker processes.

    `storage` is a journal's path, grpc://HOST:PORT or a database URL; `study` is its name there. `timeout` is in
    seconds an evaluation, `lease` in seconds without a sign of life after which a worker counts as dead; a storage may
    be away as long. `first`: configurations that are tried before the strategy is asked.
    """

    problem: Problem
    storage: str = field(repr=False)  # it may hold a password
    trials: int
    strategy: Strategy = STRATEGIES["tpe"]
    seed: int = 0
    study: str = ""
    pruner: BasePruner = field(default_factory=NopPruner)
    timeout: float | None = None
    lease: float = 60.0
    repeats: bool = False
    first: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if "://" not in self.storage:  # a worker that starts after a change of directory finds the same journal
            object.__setattr__(self, "storage", str(Path(self.storage).absolute()))

    @property
    def name(self) -> str:
        return self.study or self.problem.name

    def identity(self) -> dict[str, Any]:
        """What must be the same in all processes that share it."""
        return {
            "problem": self.problem.name,
            "settings": dict(self.problem.settings()),
            "space": {name: repr(d) for name, d in self.problem.distributions().items()},
            "directions": list(self.problem.directions),
            "sampler": self.strategy.name,
            "pruner": type(self.pruner).__name__,
            "seed": self.seed,
            "repeats": self.repeats,
        } | ({"first": [dict(one) for one in self.first]} if self.first else {})

    def open(self) -> BaseStorage:
        """The storage, with the study in it. Raises `UsageError` when it holds another search."""
        storage = open_storage(self.storage)
        with reachable(self.storage):
            join(storage, self.storage, self.name, self.problem.directions, self.identity())
        return storage


def never() -> bool:
    return False


def always() -> bool:
    return True


class Worker:
    """Takes part in a search until all its places are filled."""

    def __init__(
        self,
        search: Search,
        storage: BaseStorage,
        stop: Callable[[], bool] = never,
        alive: Callable[[], bool] = always,
    ) -> None:
        self.search, self.storage, self.stop, self.alive = search, storage, stop, alive
        self.board = Board(storage, search.name, search.lease)
        self.proposer = Proposer(search.problem, search.strategy, search.seed, search.repeats, search.first)
        self.exhausted = False

    def run(self) -> None:
        """Work until the search is over or `stop()` says so. Raises `StorageError` when the storage goes away."""
        wait = 0.01
        while not self.stop():
            trials = self.board.look()
            if is_over(self.board, trials, self.search.trials, self.exhausted):
                return
            placed = self.board.placed(trials)
            free = len(placed) < self.search.trials and not (self.exhausted and not self.board.lost(trials))
            if free:
                wait = 0.01
                self._one()
            else:  # the others may lose a trial, which is then ours to repeat
                time.sleep(wait)
                wait = min(2 * wait, 0.5)

    def _one(self) -> None:
        ticket = self.board.draw_ticket()
        with Heartbeat(
            self.storage, ticket._trial_id, self.search.lease, self.search.timeout, self._late(ticket), self.alive
        ) as heart:
            study = self.board.patience(self._study)
            try:
                parameters = self._configure(study, ticket)
            except Lost:
                return
            except BaseException:
                self.board.void(ticket._trial_id, "no configuration could be chosen")
                raise
            if parameters is not None:
                heart.evaluating()
                RunningTrial(self.search, self.board, study.sampler, ticket._trial_id, parameters, heart).run()

    def _study(self) -> optuna.Study:
        return optuna.load_study(study_name=self.search.name, storage=self.storage)

    def _configure(self, study: optuna.Study, ticket: FrozenTrial) -> dict[str, Any] | None:
        """Settle the ticket when its turn comes; None when it came too late."""
        trials = self.board.await_turn(ticket)
        before = [trial for trial in self.board.placed(trials) if trial.number < ticket.number]
        if len(before) >= self.search.trials:
            self.board.void(ticket._trial_id, "another worker took the last place")
            return None
        lost = self.board.lost(trials)
        if lost:
            self.board.settle(ticket, lost[0].params, lost[0].distributions, of_sampler(lost[0]))
            return lost[0].params
        taken = {configuration(trial.params) for trial in before if is_settled(trial)}
        parameters = self.board.patience(lambda: self.proposer.propose(study, ticket, len(before), taken))
        if parameters is None:
            self.exhausted = True
            self.board.void(ticket._trial_id, "every configuration of the space was taken")
            return None
        self.board.settle(ticket, parameters, self.proposer.distributions)
        return parameters

    def _late(self, ticket: FrozenTrial) -> Callable[[str], None]:
        def late(stack: str) -> None:
            self.board.fail(ticket._trial_id, f"stopped after {self.search.timeout:g} s, at\n{stack}")
            os._exit(1)

        return late


def is_over(board: Board, trials: list[FrozenTrial], budget: int, exhausted: bool = False) -> bool:
    """Whether nothing is left to do: every place is filled and finished, or the space has no more to give."""
    placed = board.placed(trials)
    if any(trial.state == TrialState.RUNNING for trial in placed):
        return False
    return len(placed) >= budget or (exhausted and not board.lost(trials))


class RunningTrial:
    """One configuration, judged; whatever happens is recorded with the trial."""

    def __init__(
        self,
        search: Search,
        board: Board,
        sampler: BaseSampler,
        trial_id: int,
        parameters: Mapping[str, Any],
        heart: Heartbeat,
    ) -> None:
        self.search, self.board, self.heart = search, board, heart
        self.trial_id, self.parameters = trial_id, parameters
        load = partial(optuna.load_study, study_name=search.name, storage=board.storage)
        self.study = board.patience(lambda: load(sampler=sampler, pruner=search.pruner))

    def run(self) -> None:
        problem = self.search.problem
        try:
            candidate = problem.candidate(self.parameters)
            if candidate is None:
                raise ValueError(f"{self.parameters} is no candidate now, though it was when it was proposed")
            outcome = problem.evaluate(candidate, self.search.seed, self.report)
            values = tuple(float(value) for value in outcome.values)
            if len(values) != len(problem.directions) or not all(map(math.isfinite, values)):
                raise ValueError(f"the evaluation gave {values}, not {len(problem.directions)} finite numbers")
        except Lost:
            return
        except optuna.TrialPruned:
            steps = self._trial().intermediate_values
            self._end(TrialState.PRUNED, (steps[max(steps)],) if steps else None, {})
        except (Exception, SystemExit):
            self._end(TrialState.FAIL, None, {ERROR: without_password(traceback.format_exc(), self.search.storage)})
        else:
            self._end(TrialState.COMPLETE, values, outcome.fields)

    def report(self, step: int, value: float) -> None:
        """`Reporter`: record an intermediate value, and ask the pruner."""
        if self.heart.lost:
            raise Lost
        if len(self.search.problem.directions) > 1 or not math.isfinite(value):
            return
        try:
            self.board.storage.set_trial_intermediate_value(self.trial_id, step, value)
            hopeless = self.search.pruner.prune(self.study, self._trial())
        except UpdateFinishedTrialError:
            raise Lost from None
        except Exception as error:
            if not of_storage(error):
                raise
            return  # away for a moment; an intermediate value is not worth the trial
        if hopeless:
            raise optuna.TrialPruned(f"hopeless at step {step}")

    def _trial(self) -> FrozenTrial:
        return self.board.patience(lambda: self.board.storage.get_trial(self.trial_id))

    def _end(self, state: TrialState, values: tuple[float, ...] | None, fields: Mapping[str, Any]) -> None:
        trial = self._trial()
        try:
            self.board.patience(lambda: self.study.sampler.after_trial(self.study, trial, state, values))
        except UpdateFinishedTrialError:
            return
        self.board.finish(self.trial_id, state, values, fields)


def work(search: Search, stop: Callable[[], bool] = never) -> None:
    """Take part in `search` within this process. A `timeout` that is exceeded ends the process."""
    storage = search.open()
    with reachable(search.storage):
        Worker(search, storage, stop).run()


def trials_of(search: Search) -> list[FrozenTrial]:
    """All trials of `search` so far, in the order of their numbers."""
    study = optuna.load_study(study_name=search.name, storage=search.open())
    return study.get_trials(deepcopy=False)
