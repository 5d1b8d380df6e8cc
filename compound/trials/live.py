"""What a search shows while it goes on: a table on a terminal, a line a trial elsewhere; all on standard error."""

import time
from collections.abc import Sequence

from optuna.trial import FrozenTrial, TrialState
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from compound.trials.board import is_void
from compound.trials.problem import Direction
from compound.trials.ranking import RankedTrial, leaderboard

ROWS = 8
SHORT = 6  # parameters; more are not listed, the leaderboard has them
SHOWN = ("complete", "pruned", "failed")


class SearchDisplay:
    """A context whose `show` gets all trials again and again. `objectives` names the values."""

    def __init__(
        self, title: str, budget: int, directions: Sequence[Direction], objectives: Sequence[str], quiet: bool = False
    ) -> None:
        self.title, self.budget, self.directions, self.objectives = title, budget, directions, objectives
        self.console = Console(stderr=True, quiet=quiet, highlight=False)
        self.live = Live(console=self.console, auto_refresh=False, transient=True) if self.console.is_terminal else None
        self.begun = time.monotonic()
        self.before: set[int] | None = None  # trials that were done when this process came

    def __enter__(self) -> "SearchDisplay":
        if self.live:
            self.live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.live:
            self.live.stop()

    def say(self, text: str) -> None:
        self.console.print(text, markup=False, soft_wrap=True)

    def show(self, trials: Sequence[FrozenTrial]) -> None:
        entries = leaderboard(trials, self.directions)
        done = {entry.number for entry in entries if entry.state in SHOWN}
        if self.before is None:
            self.before = self.told = done
            if done:
                self.say(f"{len(done)} of {self.budget} trials were done before")
        left = self.left(len(done), len(done - self.before))
        if self.live:
            lost = sum(is_void(trial) for trial in trials)
            running = sum(trial.state == TrialState.RUNNING for trial in trials)
            self.live.update(self.table(entries, len(done), running, lost, left), refresh=True)
            return
        for entry in sorted(entries, key=lambda entry: entry.number):
            if entry.number in done - self.told:
                self.told = self.told | {entry.number}
                self.say(f"trial {len(self.told):>3}/{self.budget}  {self.line(entry)}  left {left}")

    def line(self, entry: RankedTrial) -> str:
        """A finished trial in one line."""
        chosen = " ".join(f"{name} {_brief(value)}" for name, value in entry.parameters.items())
        if len(entry.parameters) > SHORT:
            chosen = str(entry.fields.get("network", f"{len(entry.parameters)} parameters"))
        if entry.error:
            return f"failed: {entry.error.strip().splitlines()[-1]}  ({chosen})"
        found = "  ".join(f"{n} {v:.4g}" for n, v in zip(self.objectives, entry.values or (), strict=False))
        return f"{found}{' pruned' if entry.state == 'pruned' else ''}  ({chosen})"

    def left(self, done: int, here: int) -> str:
        """The time that is left, by how fast trials were done since this process looks."""
        if not here:
            return "unknown"
        seconds = int((time.monotonic() - self.begun) / here * max(self.budget - done, 0))
        return f"{seconds // 3600}:{seconds % 3600 // 60:02d}:{seconds % 60:02d}"

    def table(self, entries: Sequence[RankedTrial], done: int, running: int, lost: int, left: str) -> Group:
        """The best trials (of several objectives the front first), and how far the search is."""
        failed = sum(entry.state == "failed" for entry in entries)
        table = Table(title=self.title, title_justify="left")
        names = list(entries[0].parameters) if entries and len(entries[0].parameters) <= SHORT else []
        for name in ("rank", "trial", *self.objectives, *names, "state", "seconds"):
            table.add_column(name, justify="left" if name == "state" else "right")
        for entry in [entry for entry in entries if entry.state in SHOWN][:ROWS]:
            values = [f"{value:.4f}" for value in entry.values or ()]
            table.add_row(
                str(entry.rank or ""),
                str(entry.number),
                *(values + [""] * (len(self.objectives) - len(values))),
                *(_brief(entry.parameters.get(name, "")) for name in names),
                entry.state,
                f"{entry.seconds:.1f}" if entry.seconds is not None else "",
            )
        said = f"{done} of {self.budget} trials done, {running} running, {failed} failed, {lost} repeated; {left} left"
        return Group(table, Text(said))


def _brief(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
