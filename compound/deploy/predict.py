"""Classes of photos, with the preprocessing that travels in the weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from compound.data import DamageLog, FileSource
from compound.data.decode import SUFFIXES
from compound.deploy.runtimes import Runtime
from compound.errors import UsageError
from compound.inference import classify, run_over
from compound.network import Network
from compound.nn import ConvNet, Weights, load_weights


@dataclass(frozen=True)
class Prediction:
    """The most probable classes of one image, best first: (index, name, probability)."""

    path: str
    classes: list[tuple[int, str, float]]

    def to_json(self) -> dict[str, Any]:
        keys = ("index", "name", "probability")
        return {"path": self.path, "classes": [dict(zip(keys, one, strict=True)) for one in self.classes]}


def weights_file(path: str | Path) -> Path:
    """The weights of a run directory, or the file itself; it need not be there."""
    path = Path(path)
    return path / "model.safetensors" if path.is_dir() else path


def load_predictor(path: str | Path, network: Network | None = None) -> tuple[ConvNet, Weights]:
    """The model of a run directory, a weights file or a published name; another library's file needs `network`."""
    return load_weights(path, network)


def find_images(places: list[Path]) -> list[Path]:
    """The given files, and all images below the given folders."""
    found: list[Path] = []
    for place in places:
        if place.is_dir():
            inside = sorted(p for p in place.rglob("*") if p.suffix.lower() in SUFFIXES)
            if not inside:
                raise UsageError(f"folder {place} holds no images ({', '.join(sorted(SUFFIXES))})")
            found += inside
        elif place.is_file():
            found.append(place)
        else:
            raise UsageError(f"there is no image {place}; check the path")
    return found


def predict(
    model: ConvNet | Runtime,
    weights: Weights,
    images: list[Path],
    *,
    top: int = 5,
    batch: int = 32,
    device: str = "auto",
) -> tuple[list[Prediction], list[tuple[str, str]]]:
    """The `top` classes of every readable image, in order, and the damaged ones with the reason.

    `device` is for networks in PyTorch; a runtime has its own.
    """
    source = FileSource(images, np.zeros(len(images), dtype=np.int64), weights.channels)
    damage = DamageLog(limit=1.0)
    if isinstance(model, Runtime):
        answers = run_over(model, source, damage, batch=batch)
    else:
        answers = classify(model, source, damage, batch=batch, device=device)
    predictions = []
    for probabilities, _, indices in answers:
        for position, row in zip(indices.tolist(), probabilities, strict=True):
            predictions.append(Prediction(str(images[position]), best_classes(row, weights.classes, top)))
    return predictions, list(damage.damaged.items())


def best_classes(probabilities: Tensor, classes: Sequence[str], top: int) -> list[tuple[int, str, float]]:
    """The `top` most probable of `probabilities` (classes,), best first: (index, name, probability)."""
    best = probabilities.topk(min(top, len(classes)))
    return [(index, classes[index], p) for index, p in zip(best.indices.tolist(), best.values.tolist(), strict=True)]
