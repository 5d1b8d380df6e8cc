"""Runs by where they lie: which there are in a folder, and which may have been meant by a name that is none."""

import os
import shlex
from itertools import islice
from pathlib import Path

from compound.mapping import nearest

RUNS = "runs"  # where trainings are kept unless something else is said
MOST = 10_000  # of a folder
NAMED = 5  # runs of a folder that a hint names


def near(path: str | os.PathLike[str]) -> str:
    """A path as it is told: from the current folder, where it lies in there."""
    place = Path(path)
    return str(place.relative_to(Path.cwd())) if place.is_relative_to(Path.cwd()) else str(place)


def run_folders(folder: str | os.PathLike[str]) -> list[Path]:
    """The run directories in `folder`, in order of name, and `folder` itself where it is one."""
    place = Path(folder)
    try:
        found = islice(place.glob("*/run.yaml"), MOST)
        inner = sorted(file.parent for file in found)
    except OSError:  # a folder that cannot be read has none
        inner = []
    return [place] * (place / "run.yaml").is_file() + inner


def beside(given: Path) -> list[str]:
    """The folders where `given` would lie, and the tables and arrays, in order of name."""
    try:
        found = [one for one in islice(given.parent.iterdir(), MOST) if one.is_dir() or one.suffix in (".csv", ".npz")]
    except OSError:  # there is no such folder, or it cannot be read
        return []
    return sorted(str(one) for one in found if not one.name.startswith("."))


def nearest_run(given: str | os.PathLike[str]) -> str:
    """A hint for a place that is no run: the runs in it, those nearest to it by name, or the verb that lists all."""
    inside = [shlex.quote(str(run)) for run in run_folders(given)]
    if inside:
        more = f" and {len(inside) - NAMED:,} more (compound runs {shlex.quote(os.fspath(given))} lists them)"
        return f"it holds {', '.join(inside[:NAMED])}{more * (len(inside) > NAMED)}; name a run itself"
    beside = [*run_folders(Path(given).parent), *run_folders(RUNS)]
    known = dict.fromkeys(map(str, beside))
    return nearest(os.fspath(given), known, "runs", "compound runs lists the runs there are", _name)


def _name(place: str) -> str:
    return Path(place).name.lower()
