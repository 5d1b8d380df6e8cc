"""What a search has found so far: its trials in order of merit, the front of several objectives, and files of both."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from compound.documents import write_records
from compound.files import write_json
from compound.trials.board import ERROR, is_void
from compound.trials.problem import Direction


@dataclass(frozen=True)
class RankedTrial:
    """A trial that holds a place. `rank` counts from 1 among those with values; several objectives: front by front."""

    rank: int | None
    number: int
    state: str  # complete, pruned, failed, running
    values: tuple[float, ...] | None
    seconds: float | None
    parameters: dict[str, Any]
    fields: dict[str, Any]
    error: str | None


def leaderboard(trials: Sequence[FrozenTrial], directions: Sequence[Direction]) -> list[RankedTrial]:
    """The best first, then pruned, running and failed ones. Void trials are left out."""
    held = [trial for trial in trials if trial.state != TrialState.WAITING and not is_void(trial)]
    complete = [trial for trial in held if trial.state == TrialState.COMPLETE]
    ranks = {trial.number: rank for rank, group in enumerate(_fronts(complete, directions), 1) for trial in group}
    order = {TrialState.COMPLETE: 0, TrialState.PRUNED: 1, TrialState.RUNNING: 2, TrialState.FAIL: 3}

    def merit(trial: FrozenTrial) -> tuple[float, ...]:
        values = _signed(trial, directions) if trial.values else ()
        return (order[trial.state], ranks.get(trial.number, 0), *values, trial.number)

    return [_entry(trial, ranks.get(trial.number)) for trial in sorted(held, key=merit)]


def best(trials: Sequence[FrozenTrial], directions: Sequence[Direction]) -> list[RankedTrial]:
    """The best trial; of several objectives the whole front, by the first objective."""
    return [entry for entry in leaderboard(trials, directions) if entry.rank == 1]


def write_leaderboard(entries: Sequence[RankedTrial], folder: Path, objectives: Sequence[str]) -> None:
    """leaderboard.csv, a column a parameter and field, and leaderboard.json with the errors."""
    write_json(folder / "leaderboard.json", [asdict(entry) for entry in entries])
    rows = [
        {"rank": e.rank, "number": e.number, "state": e.state}
        | dict(zip(objectives, e.values or (), strict=False))
        | e.parameters
        | {name: value for name, value in e.fields.items() if not isinstance(value, list | dict)}
        | {"seconds": e.seconds}
        for e in entries
    ]
    write_records(folder / "leaderboard.csv", rows)


def _entry(trial: FrozenTrial, rank: int | None) -> RankedTrial:
    fields = {name: value for name, value in trial.user_attrs.items() if name != ERROR}
    seconds = round(trial.duration.total_seconds(), 3) if trial.duration else None
    state = "failed" if trial.state == TrialState.FAIL else trial.state.name.lower()
    values = tuple(trial.values) if trial.values else None
    return RankedTrial(rank, trial.number, state, values, seconds, trial.params, fields, trial.user_attrs.get(ERROR))


def _signed(trial: FrozenTrial, directions: Sequence[Direction]) -> tuple[float, ...]:
    """Values of which less is better."""
    return tuple(-v if d == "maximize" else v for v, d in zip(trial.values, directions, strict=True))


def _fronts(trials: list[FrozenTrial], directions: Sequence[Direction]) -> list[list[FrozenTrial]]:
    """Trials that no other one dominates, then those that only the first front dominates, and so on.

    Of one objective each front is one trial; equal ones go by number.
    """
    if len(directions) == 1:
        return [[trial] for trial in sorted(trials, key=lambda t: (_signed(t, directions), t.number))]
    fronts, left = [], [(trial, _signed(trial, directions)) for trial in trials]
    while left:
        front = [
            (trial, values)
            for trial, values in left
            if not any(other != values and all(o <= v for o, v in zip(other, values, strict=True)) for _, other in left)
        ]
        fronts.append([trial for trial, _ in front])
        left = [pair for pair in left if pair not in front]
    return fronts
