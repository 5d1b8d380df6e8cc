"""The study as all its workers see it: whose turn it is, how many places are left, which trials are lost.

Every trial that runs, is done or has failed by itself holds one of the N places of the budget; a trial that is *void*
(its worker was killed, or it came too late) holds none. Trials are settled, that is given their configuration, one
after the other in the order of their numbers, whoever runs them. So the budget cannot be overshot, no configuration is
taken twice, and a trial's place in the order (how many places were taken before it) is the same for every reader.
"""

import json
import time
from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import uuid4

from optuna.distributions import BaseDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from compound.trials.liveness import WORKER, FailureDetector, me
from compound.trials.storage import Patience

SETTLED, VOID, TICKET = "compound:settled", "compound:void", "compound:ticket"
ERROR = "error"  # a user attribute: dashboards show it
TRIES = 3  # workers that may die on one configuration before it is blamed


class Lost(Exception):
    """Another process took this trial for dead."""


def configuration(parameters: Mapping[str, Any]) -> str:
    """Parameters as a key that is equal for equal configurations; floats count to ten digits."""
    plain = {name: round(value, 10) if isinstance(value, float) else value for name, value in parameters.items()}
    return json.dumps(plain, sort_keys=True)


def is_void(trial: FrozenTrial) -> bool:
    return trial.state == TrialState.FAIL and VOID in trial.system_attrs


def is_settled(trial: FrozenTrial) -> bool:
    return trial.state.is_finished() or SETTLED in trial.system_attrs


def of_sampler(trial: FrozenTrial) -> dict[str, Any]:
    """What the sampler noted with a trial, such as its generation."""
    return {name: value for name, value in trial.system_attrs.items() if not name.startswith("compound:")}


class Board:
    """Reads and changes one study. `patience`, by default a lease long, is for a storage that is away for a while."""

    def __init__(self, storage: BaseStorage, study: str, lease: float, patience: Patience | None = None) -> None:
        self.storage, self.patience = storage, patience or Patience(lease)
        self.id = self.patience(lambda: storage.get_study_id_from_name(study))
        self.failures = FailureDetector(lease)

    def look(self) -> list[FrozenTrial]:
        """All trials by number, after those of dead workers were made void."""
        trials = self._trials()
        dead = self.failures.dead(trial for trial in trials if trial.state == TrialState.RUNNING)
        for trial in dead:
            self.bury(trial, trials)
        return self._trials() if dead else trials

    def placed(self, trials: list[FrozenTrial]) -> list[FrozenTrial]:
        """Those that hold a place. Trials that wait were enqueued by another program and are left to it."""
        return [trial for trial in trials if trial.state != TrialState.WAITING and not is_void(trial)]

    def lost(self, trials: list[FrozenTrial]) -> list[FrozenTrial]:
        """Trials whose worker died and whose configuration nobody has taken up again, the oldest first."""
        taken = {configuration(trial.params) for trial in self.placed(trials) if trial.params}
        gone = {
            configuration(trial.params): trial for trial in trials if is_void(trial) and SETTLED in trial.system_attrs
        }
        return [trial for key, trial in gone.items() if key not in taken]

    def draw_ticket(self) -> FrozenTrial:
        """A new running trial of this process, without a configuration."""
        mark, asked = uuid4().hex, False
        empty = create_trial(state=TrialState.RUNNING, system_attrs={WORKER: me(), TICKET: mark})

        def draw() -> int:
            nonlocal asked
            ours = [t for t in self._trials() if t.system_attrs.get(TICKET) == mark] if asked else []
            asked = True  # a storage that went away may have made the trial and not said so
            return ours[0]._trial_id if ours else self.storage.create_new_trial(self.id, empty)

        trial_id = self.patience(draw)
        return self.patience(lambda: self.storage.get_trial(trial_id))

    def await_turn(self, ticket: FrozenTrial) -> list[FrozenTrial]:
        """Wait until every trial before `ticket` is settled; all trials as they are then. Raises `Lost`."""
        wait = 0.005
        while True:
            trials = self.look()
            if next(t for t in trials if t.number == ticket.number).state != TrialState.RUNNING:
                raise Lost
            earlier = (t for t in trials if t.number < ticket.number and t.state == TrialState.RUNNING)
            if all(is_settled(trial) for trial in earlier):
                return trials
            time.sleep(wait)
            wait = min(2 * wait, 0.2)

    def settle(
        self,
        ticket: FrozenTrial,
        parameters: Mapping[str, Any],
        distributions: Mapping[str, BaseDistribution],
        notes: Mapping[str, Any] | None = None,
    ) -> None:
        """Give the trial its configuration, and a sampler's `notes`; the turn goes to the next. Raises `Lost`."""
        try:
            for name, value in (notes or {}).items():
                self._note(ticket._trial_id, name, value)
            for name, distribution in distributions.items():
                internal = distribution.to_internal_repr(parameters[name])
                self.patience(partial(self.storage.set_trial_param, ticket._trial_id, name, internal, distribution))
            self._note(ticket._trial_id, SETTLED, True)
        except UpdateFinishedTrialError:
            raise Lost from None

    def finish(
        self,
        trial_id: int,
        state: TrialState,
        values: tuple[float, ...] | None = None,
        fields: Mapping[str, Any] | None = None,
    ) -> bool:
        """Record how a trial ended. False when it was ended before: only the first word counts."""
        try:
            for name, value in (fields or {}).items():
                self.patience(partial(self.storage.set_trial_user_attr, trial_id, name, value))
            self.patience(partial(self.storage.set_trial_state_values, trial_id, state, values))
        except UpdateFinishedTrialError:
            return False
        return True

    def fail(self, trial_id: int, error: str) -> bool:
        """The evaluation went wrong by itself: the trial keeps its place."""
        return self.finish(trial_id, TrialState.FAIL, fields={ERROR: error})

    def void(self, trial_id: int, reason: str) -> bool:
        """The trial gives its place back."""
        try:
            self._note(trial_id, VOID, reason)
        except UpdateFinishedTrialError:
            return False
        return self.fail(trial_id, reason)

    def bury(self, trial: FrozenTrial, trials: list[FrozenTrial]) -> None:
        """End the trial of a dead worker; its configuration is tried again, unless it killed several workers."""
        key = configuration(trial.params)
        deaths = 1 + sum(is_void(t) and SETTLED in t.system_attrs and configuration(t.params) == key for t in trials)
        if SETTLED in trial.system_attrs and deaths >= TRIES:
            self.fail(trial._trial_id, f"{deaths} workers died on this configuration, perhaps for lack of memory")
        else:
            self.void(trial._trial_id, "its worker no longer answered; the configuration is tried again")

    def _note(self, trial_id: int, name: str, value: Any) -> None:
        self.patience(lambda: self.storage.set_trial_system_attr(trial_id, name, value))

    def _trials(self) -> list[FrozenTrial]:
        trials = self.patience(lambda: self.storage.get_all_trials(self.id, deepcopy=False))
        return sorted(trials, key=lambda trial: trial.number)
