"""The options of every verb that searches, each said once: where trials are kept, who works on them, what is kept."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compound.errors import CompoundError

if TYPE_CHECKING:
    from compound.search.engine import Search
    from compound.search.leaderboard import Entry
    from compound.search.problem import Problem
    from compound.search.proposals import Strategy

SearchWorkers = Annotated[int | None, typer.Option(min=1, help="Processes here; default one a core, up to 4.")]
Storage = Annotated[
    str | None,
    typer.Option(help="A journal file, postgresql://…, mysql://…, grpc://HOST:PORT; default OUT/search.journal."),
]
StudyName = Annotated[str | None, typer.Option("--study", help="Name of the search in its storage.")]
SamplerName = Annotated[str, typer.Option("--sampler", help="grid, random, tpe, gp or nsga2.")]
SearchOut = Annotated[Path | None, typer.Option("-o", "--out", help="Folder of the results.")]
SearchSeed = Annotated[int, typer.Option(help="Seed of the choices, and of the first training of each candidate.")]
Prune = Annotated[bool, typer.Option("--prune", help="Stop candidates below the median of the others' epochs.")]
Timeout = Annotated[float | None, typer.Option(help="Seconds after which an evaluation is given up.")]
Lease = Annotated[float, typer.Option(min=1, help="Seconds without a sign after which a worker counts as dead.")]


def default_workers(device: str) -> int:
    """One a core and at most four; a GPU is kept busy by one."""
    from compound.inference import pick_device

    return min(cores(), 4) if pick_device(device).type == "cpu" else 1


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def best_of(entries: "list[Entry]", out: Path) -> "Entry":
    """The winner. Raises `CompoundError` when no trial gave a value."""
    complete = [entry for entry in entries if entry.state == "complete"]
    if not complete:
        errors = [e.error.strip().splitlines()[-1] for e in entries if e.error]
        first = f"; the first error was {errors[0]}" if errors else ""
        raise CompoundError(f"no trial of {len(entries)} was completed{first}; see {out / 'leaderboard.json'}")
    return complete[0]


def open_search(
    problem: "Problem",
    storage: str,
    trials: int,
    strategy: "Strategy",
    seed: int,
    study: str | None,
    prune: bool,
    timeout: float | None,
    lease: float,
) -> "Search":
    from optuna.pruners import MedianPruner, NopPruner

    from compound.search.engine import Search

    pruner = MedianPruner(n_startup_trials=4, n_warmup_steps=1) if prune else NopPruner()
    return Search(problem, storage, trials, strategy, seed, study or "", pruner, timeout, lease)


def carry_out(search: "Search", workers: int, quiet: bool) -> None:
    from compound.search.live import SearchDisplay
    from compound.search.workers import run

    title = f"{search.problem.name}, {search.strategy.name}, {workers} workers -> {search.storage}"
    with SearchDisplay(title, search.trials, search.problem.directions, ["accuracy"], quiet) as display:
        display.say(title)
        run(search, workers, display.show, display.say)
