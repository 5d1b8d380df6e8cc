"""Run directories made by hand: no training, a second each."""

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from compound import ZOO, Budget, Network, cost, dump_network, fit_budget
from compound.cost import cost_fields
from compound.training.recipe import Recipe
from compound.training.run import Run

COLUMNS = ("epoch", "step", "rate", "train_loss", "train_top1", "val_loss", "val_top1")
RECIPE = Recipe(name="small", source="a table & <its> 'page'", epochs=3, batch=64, rate=0.4, label_smoothing=0.1)
MakeRun = Callable[..., Path]


def maker_in(folder: Path) -> MakeRun:
    def make(
        classes: Sequence[str] = ("cat", "dog", "eel"),
        network: Network | None = None,
        only: Sequence[str] = ("metrics", "plan", "evaluation", "predictions"),
        state: str = "done",
        where: str = "run",
        size: int = 28,
    ) -> Path:
        baseline = ZOO["efficientnet-b0"]
        plan = fit_budget(baseline.with_(classes=len(classes), channels=1), Budget(macs=600e6, memory=100e6))
        data = {"spec": "my data/<here>", "name": "beasts", "channels": 1, "fingerprint": "6f8a0c87a6d7"}
        path = folder / where
        run = Run(path, network or plan.network, RECIPE, data | {"classes": list(classes)}, seed=7, state=state).save()
        if "metrics" in only:
            write_metrics(run.metrics)
        if "plan" in only:
            fields = cost_fields(baseline, cost(baseline.with_(classes=len(classes), channels=1))) | {
                "network": dump_network(baseline)
            }
            write(path / "plan.json", {"baseline": fields, "rule": "compound", "plan": plan.to_json()})
        if "evaluation" in only:
            write(run.evaluation, evaluation(classes))
        if "predictions" in only:
            write(path / "predictions.json", {"predictions": predictions(path, classes, size)})
        return path

    return make


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """`make_run(classes, only=("metrics",))` writes a run directory with these parts; by default all of them."""
    return maker_in(tmp_path)


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory with all its parts, for tests that only read it."""
    return maker_in(tmp_path_factory.mktemp("whole"))()


def write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value))


def write_metrics(path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerow((1, 89, 0.1, 1.63, 0.499, 3.17, 0.143))
        writer.writerow((2, 178, 0.05, 1.14, 0.718, 0.91, 0.777))
        writer.writerow((3, 267, 1e-6, 1.04, 0.758, 0.95, 0.727))


def evaluation(classes: Sequence[str]) -> dict[str, Any]:
    """10 images a class; of class i, i (at most 9) are taken for the class after it."""
    count = len(classes)
    confusion = np.zeros((count, count), int)
    for i in range(count):
        confusion[i, (i + 1) % count] += min(i, 9)
        confusion[i, i] += 10 - min(i, 9)
    return {
        "images": 10 * count,
        "top1": float(confusion.trace() / confusion.sum()),
        "top1_interval": [0.5512, 0.9134],
        "top5": 0.996,
        "loss": 0.67,
        "per_class": dict.fromkeys(classes, 0.0),
        "confusion_pairs": [[t, p, int(confusion[t, p])] for t, p in np.argwhere(confusion).tolist()],
        "damaged": [{"path": f"test/<{i}>.jpg", "reason": "truncated & broken"} for i in range(25)],
        "training_seconds": 72.4,
        "damaged_training": [],
    }


def predictions(folder: Path, classes: Sequence[str], size: int) -> list[dict[str, Any]]:
    """20 random images, all right, and two mistakes; random grey pixels, which do not compress."""
    (folder / "samples").mkdir()
    found = []
    for i in range(22):
        name = f"samples/{i:02d}.png"
        pixels = np.random.default_rng(i).integers(0, 256, (size, size), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
        top = [{"index": j, "name": classes[j], "probability": (0.7, 0.2, 0.1)[j]} for j in range(min(3, len(classes)))]
        truth = classes[0] if i < 20 else classes[1]
        found.append({"truth": truth, "kind": "random" if i < 20 else "mistake", "path": name, "classes": top})
    return found
