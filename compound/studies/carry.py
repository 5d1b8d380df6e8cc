"""Carrying a study out: its networks as files, its runs by workers, and study.json after every run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from compound.files import make_folder
from compound.notation import save_network
from compound.studies.problem import StudyProblem, failures_of, runs_of
from compound.studies.result import Study, write_study
from compound.studies.variants import Layout
from compound.trials import Search, SearchStopped, run

Show = Callable[[list[FrozenTrial]], None]


@dataclass(frozen=True)
class Carried:
    """How far a study has come, and what went wrong; `stopped` says how it goes on where it was cut off."""

    study: Study
    failed: tuple[str, ...]
    stopped: SearchStopped | None = None


def blank(layout: Layout, data: str, recipe: Mapping[str, Any], environment: Mapping[str, Any], command: str) -> Study:
    """A study without runs."""
    return Study(
        plan=layout.plan.name,
        baseline=layout.baseline.name,
        data=data,
        ratio=layout.ratio,
        recipe=dict(recipe),
        environment=dict(environment),
        command=command,
        variants=layout.variants,
        classes=layout.baseline.classes,
        channels=layout.baseline.channels,
        notes=layout.notes,
    )


def with_runs(study: Study, trials: list[FrozenTrial]) -> Study:
    """The study with what the trials have found so far."""
    return replace(study, variants=tuple(replace(v, runs=runs_of(trials, v.name)) for v in study.variants))


def carry_out(
    search: Search, study: Study, folder: Path, workers: int, show: Show, say: Callable[[str], None]
) -> Carried:
    """Fill `folder` with the study: networks/, and study.json after every run that ends, here or elsewhere."""
    assert isinstance(search.problem, StudyProblem)
    make_folder(folder / "networks")
    layout = search.problem.layout
    for variant in layout.variants:
        save_network(layout.networks[variant.name], folder / variant.network)
    seen: list[FrozenTrial] = []
    done = -1

    def look(trials: list[FrozenTrial]) -> None:
        nonlocal done
        seen[:] = trials
        finished = sum(trial.state == TrialState.COMPLETE for trial in trials)
        if finished != done:
            write_study(with_runs(study, trials), folder)
            done = finished
        show(trials)

    stopped = None
    try:
        run(search, workers, look, say)
    except SearchStopped as error:
        stopped = error
    return Carried(with_runs(study, seen), tuple(failures_of(seen)), stopped)
