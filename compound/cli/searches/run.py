"""Carrying a search out on the command line: how it goes is shown, and its winner is found."""

from pathlib import Path
from typing import TYPE_CHECKING

from compound.errors import CompoundError

if TYPE_CHECKING:
    from compound.trials import RankedTrial, Search


def carry_out(
    search: "Search", workers: int, quiet: bool, objectives: tuple[str, ...] = ("accuracy",), title: str = ""
) -> "list[RankedTrial]":
    """Search to the end and show how it goes; all trials in order of merit."""
    from compound.trials import SearchDisplay, leaderboard, masked, run, trials_of

    title = f"{title or search.problem.name}, {search.strategy.name}, {workers} workers -> {masked(search.storage)}"
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
