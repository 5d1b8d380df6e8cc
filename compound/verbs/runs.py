"""`compound.runs`: the runs of a folder, with what they reached, what they cost, and how they stand."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from compound.cost import Cost, cost
from compound.documents import damaged, open_table, read_json, read_yaml
from compound.errors import CompoundError, UsageError
from compound.files import is_locked
from compound.network import Network
from compound.notation import load_run_network
from compound.places import RUNS, run_folders
from compound.verbs.given import Place

State = Literal["running", "finished", "stopped", "damaged"]
Part = Literal["test", "held-out"]
REMEDY = "delete it, or train again"


@dataclass(frozen=True)
class Listed:
    """A run as it lies on disk. `state`: "stopped" is a run that can be resumed; of a "damaged" one `why` says what is
    wrong, and the rest is not known.

    `date`: when run.yaml was written last, in local time. `epochs`: done, and planned. `part`: the images that
    `judged` is of, as evaluation.json has it; None where nothing was judged yet.
    """

    path: Path
    state: State
    date: datetime
    network: Network | None = None
    cost: Cost | None = None
    data: str = ""
    epochs: tuple[int, int] = (0, 0)
    part: Part | None = None
    judged: Mapping[str, Any] | None = None
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        judged = self.judged or {}
        return {
            "run": str(self.path),
            "state": self.state,
            "date": self.date.isoformat(timespec="seconds"),
            "network": self.network.name if self.network else None,
            "data": self.data,
            "epochs": self.epochs[0],
            "epochs_planned": self.epochs[1],
            "part": self.part,
            "top1": judged.get("top1"),
            "top1_interval": judged.get("top1_interval"),
            "images": judged.get("images"),
            "params": self.cost.params if self.cost else None,
            "macs": self.cost.macs if self.cost else None,
            "why": self.why or None,
        }


def runs(folder: Place = RUNS) -> list[Listed]:
    """The runs in `folder`, the newest first, and `folder` itself where it is one.

    Nothing stops the list: a damaged run is one more line. Raises `UsageError` where there is no such folder.
    """
    place = Path(folder)
    if not place.is_dir():
        raise UsageError(f"there is no folder {place}; give the one that your runs are in")
    return sorted(map(_listed, run_folders(place)), key=lambda run: run.date, reverse=True)


def _listed(path: Path) -> Listed:
    file = path / "run.yaml"
    date = datetime.fromtimestamp(file.stat().st_mtime)
    try:
        given, network = read_yaml(file, REMEDY), load_run_network(path)
        with damaged(file, REMEDY):
            name, planned, state = str(given["data"]["name"]), int(given["recipe"]["epochs"]), given["state"]
        done, judged = _epochs_done(path / "metrics.csv"), _judged(path)
    except CompoundError as error:
        return Listed(path, "damaged", date, why=str(error))
    ends: State = "running" if is_locked(path / "checkpoints" / ".lock") else "stopped"
    stands = "finished" if state == "done" else ends
    return Listed(path, stands, date, network, cost(network), name, (done, planned), *judged)


def _epochs_done(metrics: Path) -> int:
    if not metrics.is_file():
        return 0
    with damaged(metrics, REMEDY), open_table(metrics) as lines:
        return max(sum(1 for _ in lines) - 1, 0)


def _judged(path: Path) -> tuple[Part | None, Mapping[str, Any] | None]:
    """What the run's accuracy is of, and the figures."""
    files: tuple[tuple[Part, str], ...] = (("test", "evaluation.json"), ("held-out", "holdout.json"))
    for part, name in files:
        if (path / name).is_file():
            found = read_json(path / name, REMEDY)
            with damaged(path / name, REMEDY):
                return part, {"top1": float(found["top1"]), "images": int(found["images"])} | found
    return None, None
