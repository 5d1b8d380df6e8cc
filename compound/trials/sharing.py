"""Where the trials of a search are kept and who works on them, as a value; and a search carried out with it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from compound.errors import CompoundError, UsageError
from compound.files import make_folder, write_json

if TYPE_CHECKING:
    from optuna.pruners import BasePruner

    from compound.trials import Problem, RankedTrial, Search, Strategy


COMMAND = "command.json"  # in the folder of a search or a study
OUT = ("-o", "--out")


def without_out(words: Sequence[str]) -> list[str]:
    """The words of a command but for the folder it was to write."""
    return [
        word
        for before, word in zip(["", *words], words, strict=False)
        if not (word in OUT or before in OUT or word.startswith(("--out=", "-o")))
    ]


@dataclass(frozen=True)
class Sharing:
    """How a search is shared among processes and machines.

    `storage`: a journal file, postgresql://…, mysql://…, grpc://HOST:PORT; None: a journal in the output folder.
    `study`: the search's name in its storage. `timeout`: seconds after which an evaluation is given up. `lease`:
    seconds without a sign after which a worker counts as dead.
    `workers`: processes here; None: one a core, up to four. `threads`: of each; None: the cores shared out.
    `device`: where they run. `progress`: the best trials, or a line a trial, on standard error.
    `command`: the words that asked for it, which its folder keeps, so that `compound resume` can ask again.

    Raises `UsageError` for a time that is none.
    """

    storage: str | None = None
    study: str = ""
    timeout: float | None = None
    lease: float = 60.0
    workers: int | None = None
    threads: int | None = None
    device: str = "auto"
    progress: bool = False
    command: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.timeout is not None and not 0 < self.timeout < math.inf:
            raise UsageError(f"timeout {self.timeout} is no time for an evaluation; use seconds, e.g. 3600")
        if not 1 <= self.lease < math.inf:
            raise UsageError(f"lease {self.lease} is no time to wait for a sign; use 1 second or more, usually 60")

    def search(
        self, problem: "Problem", journal: Path, trials: int, strategy: "Strategy", seed: int = 0,
        pruner: "BasePruner | None" = None,
    ) -> "Search":  # fmt: skip
        """The search as asked for; `journal` keeps it where no storage is given, and the command stands beside it."""
        from optuna.pruners import NopPruner

        from compound.trials import Search, masked

        kept = journal.with_name(COMMAND)
        if self.command and not kept.exists():
            write_json(make_folder(kept.parent) / COMMAND, {"arguments": [masked(word) for word in self.command]})
        storage, pruner = self.storage or str(journal), pruner or NopPruner()
        return Search(problem, storage, trials, strategy, seed, self.study, pruner, self.timeout, self.lease)


def carry_out(
    search: "Search", workers: int, quiet: bool, objectives: tuple[str, ...] = ("accuracy",), title: str = ""
) -> "list[RankedTrial]":
    """Search to the end and show how it goes; all trials in order of merit."""
    from compound.trials import SearchDisplay, leaderboard, run, shown, trials_of

    crew = f"{workers} worker{'s' * (workers != 1)}"
    title = f"{title or search.problem.name}, {search.strategy.name}, {crew} -> {shown(search.storage)}"
    with SearchDisplay(title, search.trials, search.problem.directions, objectives, quiet) as display:
        display.say(title)
        run(search, workers, display.show, display.say)
    return leaderboard(trials_of(search), search.problem.directions)


def best_of(entries: "list[RankedTrial]", out: Path) -> "RankedTrial":
    """The winner. Raises `CompoundError` when no trial gave a value."""
    complete = [entry for entry in entries if entry.state == "complete"]
    if not complete:
        errors = [e.error.strip().splitlines()[-1] for e in entries if e.error]
        first = f"; the first error was {errors[0]}" if errors else ""
        raise CompoundError(f"no trial of {len(entries)} was completed{first}; see {out / 'leaderboard.json'}")
    return complete[0]


def median_pruner(prune: bool) -> "BasePruner | None":
    """Candidates below the median of the others' epochs are stopped, after four whole ones."""
    from optuna.pruners import MedianPruner

    return MedianPruner(n_startup_trials=4, n_warmup_steps=1) if prune else None


def folder_of(out: str | PathLike[str] | None, *words: str) -> Path:
    """Where the results go; by default a folder of these words."""
    return Path(out) if out is not None else Path("runs") / "-".join(words).replace(" ", "-")
