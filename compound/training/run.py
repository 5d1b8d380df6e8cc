"""A run directory: one training, complete by itself.

run.yaml            recipe, data, seed, versions, state
network.yaml        the network
images.csv          every image and the part it is in, see `compound.training.seen`
metrics.csv         a line an epoch
checkpoints/        last.ckpt, to resume from; previous.ckpt, the one before; best.ckpt, where the recipe chooses it;
                    probe.ckpt, the probe that fine-tuning began with
model.safetensors   the result, with network, classes and preprocessing in its metadata
evaluation.json     accuracy on the test images
holdout.json        accuracy on the held-out images, where the test images are kept for later
"""

import os
import platform
import shlex
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from compound import __version__
from compound.bounds import MOST_THREADS
from compound.data import DataSet, DataSpec
from compound.documents import damaged, open_table, read_yaml
from compound.errors import UsageError
from compound.files import make_folder, stands, write_text
from compound.mapping import to_mapping
from compound.network import Network
from compound.notation import load_run_network, save_network
from compound.parallel import is_first
from compound.places import nearest_run
from compound.training.recipe import Recipe, read_recipe

PARTS = ("train", "holdout", "test")


def _here() -> str:
    try:
        return os.getcwd()
    except OSError:  # somebody removed it; only absolute paths are of use then
        return ""


@dataclass(frozen=True)
class Run:
    """What run.yaml holds, and where everything of the run lies."""

    path: Path
    network: Network
    recipe: Recipe
    data: dict[str, Any]  # of `data_fields`
    seed: int
    state: str = "created"  # created, training, stopped, done
    lowered: int = 0  # times the rate was halved because the training diverged
    threads: int | None = None  # of the processor; None before the first step, and in runs of older versions
    start: dict[str, str] | None = None  # the weights it started from, see `compound.training.origin`; None for none
    setup: dict[str, Any] | None = None  # what it goes on with, see `compound.training.setup`; None in older versions
    home: str = field(default_factory=_here, compare=False, repr=False)  # the directory from which `path` is told

    @property
    def folder(self) -> Path:
        """Where the run lies: `path`, or that from its home once somebody changed the directory."""
        return self.path if _here() == self.home else Path(self.home, self.path)

    @property
    def spec(self) -> DataSpec:
        """The question that opened its data."""
        return DataSpec.from_mapping(self.data, self.seed)

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def weights(self) -> Path:
        return self.folder / "model.safetensors"

    @property
    def images(self) -> Path:
        return self.folder / "images.csv"

    @property
    def metrics(self) -> Path:
        return self.folder / "metrics.csv"

    @property
    def evaluation(self) -> Path:
        return self.folder / "evaluation.json"

    @property
    def held_out(self) -> Path:
        return self.folder / "holdout.json"

    def epochs_done(self) -> int:
        """Finished epochs: the lines of metrics.csv."""
        if not stands(self.metrics):
            return 0
        with open_table(self.metrics) as lines:
            return max(sum(1 for _ in lines) - 1, 0)

    def save(self) -> "Run":
        if not is_first():
            return self
        make_folder(self.folder)
        save_network(self.network, self.folder / "network.yaml")
        value = {
            "state": self.state,
            "seed": self.seed,
            "lowered": self.lowered,
            **({"threads": self.threads} if self.threads else {}),
            **({"start": self.start} if self.start else {}),
            **({"setup": self.setup} if self.setup is not None else {}),
            "data": self.data,
            "recipe": to_mapping(self.recipe),
            "versions": versions(),
        }
        write_text(self.folder / "run.yaml", yaml.safe_dump(value, sort_keys=False, allow_unicode=True))
        return self

    def now(self, state: str) -> "Run":
        """The same run in another state, saved."""
        return replace(self, state=state).save()


def open_run(path: str | Path) -> Run:
    """An existing run directory."""
    path = Path(path)
    file = path / "run.yaml"
    if not file.is_file():
        what = "is not a run directory (it has no run.yaml)" if path.exists() else "is not there"
        raise UsageError(f"{path} {what}; {nearest_run(path)}")
    remedy = "delete it, or train again"
    given = read_yaml(file, remedy)
    network = load_run_network(path)
    with damaged(file, remedy):
        recipe = read_recipe(given["recipe"], f"{file}: recipe")
        lowered, threads = given.get("lowered", 0), given.get("threads")
        if threads is not None and not 1 <= int(threads) <= MOST_THREADS:
            raise ValueError
        if not (isinstance(given["seed"], int) and isinstance(lowered, int) and isinstance(given["state"], str)):
            raise TypeError
        start = given.get("start")
        if start is not None:
            start = {str(name): str(value) for name, value in start.items()}
        seen = (_data_kept(given["data"]), given["seed"], given["state"], lowered, threads, start, given.get("setup"))
        return Run(path, network, recipe, *seen)


def _data_kept(given: Any) -> dict[str, Any]:
    """What stands of the data in a file, where its fields are what pages and verbs make of them."""
    told = dict(given) | {"name": str(given["name"])}
    if not isinstance(told["classes"], list):
        raise TypeError
    if (images := told.get("images")) is not None:
        told["images"] = {part: int(images[part]) for part in PARTS}
    return told


def resume_command(path: str | Path) -> str:
    """What to type to go on with a run; short where it lies below the folder one is in."""
    here = os.path.join(os.getcwd(), "")
    return f"compound resume {shlex.quote(str(path).removeprefix(here))}"


def data_fields(data: DataSet) -> dict[str, Any]:
    """What a run keeps of its data: the question whole, and what it was answered with."""
    images = {part: len(getattr(data, part)) for part in PARTS}
    told = {"name": data.name, "classes": list(data.classes), "images": images, "fingerprint": data.fingerprint()}
    return data.spec.to_mapping() | told


@cache
def versions() -> dict[str, str]:
    """The software a result depends on."""
    found = {"python": platform.python_version(), "compound": __version__}
    for package in ("torch", "torchvision", "pytorch-lightning"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
