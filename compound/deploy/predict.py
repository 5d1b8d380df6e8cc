"""Classes of photos, with the preprocessing that travels in the weights."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from glob import glob
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from torch import Tensor

from compound.data import DamageLog, Source, pictures_of
from compound.data.chance import Hashes
from compound.data.decode import decode_image
from compound.data.identity import of_bytes
from compound.data.listing import SUFFIXES, listed
from compound.data.source import Labels
from compound.deploy.stream import frames
from compound.documents import write_csv
from compound.errors import CompoundError, UsageError
from compound.execution import Execution
from compound.files import stands
from compound.inference import as_probabilities, logits_over
from compound.nn import ConvNet, Unknown, Weights
from compound.notes import note
from compound.runtimes import Runtime

FEW = Execution(batch=32, workers=0)  # for a few images no process is worth its start


@dataclass(frozen=True)
class Prediction:
    """The most probable classes of one image, best first: (index, name, probability).

    `score`: how much it looks like images of the classes, and `unknown`: whether that is too little for any of them
    (see `compound.nn.Unknown`). None of a network that has no such threshold. `brightness`: the mean of the image as
    the network received it, from 0 to 1.
    """

    path: str
    classes: list[tuple[int, str, float]]
    score: float | None = None
    unknown: bool | None = None
    brightness: float | None = None

    def to_json(self) -> dict[str, Any]:
        keys = ("index", "name", "probability")
        known = {} if self.unknown is None else {"unknown": self.unknown, "score": self.score}
        return {"path": self.path} | known | {"classes": [dict(zip(keys, one, strict=True)) for one in self.classes]}


def write_table(path: Path, predictions: Sequence[Prediction]) -> Path:
    """A CSV file with a row an image and class, the best first; with a threshold, its score and whether unknown."""
    columns = ["path", "rank", "index", "name", "probability"]
    asked = any(one.unknown is not None for one in predictions)
    rows = [
        (one.path, rank, *best, *((one.score, int(bool(one.unknown))) if asked else ()))
        for one in predictions
        for rank, best in enumerate(one.classes, 1)
    ]
    return write_csv(path, [*columns, "score", "unknown"] if asked else columns, rows)


def weights_file(path: str | Path) -> Path:
    """The weights of a run directory, or the file itself; it need not be there."""
    path = Path(path)
    return path / "model.safetensors" if path.is_dir() else path


def find_images(places: list[Path]) -> list[Path]:
    """The given files, all images below the given folders, and what fits a pattern such as `photos/**/*.jpg`."""
    found: list[Path] = []
    for place in places:
        if place.is_dir():
            inside = listed(place)
            told = "; ".join(f"{what}: {why}" for what, why in inside.left_out().items())
            if not inside.files:
                raise UsageError(f"folder {place} holds no images ({told or ', '.join(sorted(SUFFIXES))})")
            if told:
                note(f"{place}: left out: {told}")
            found += map(Path, inside.files)
        elif place.is_file():
            found.append(place)
        elif fitting := sorted(path for path in glob(str(place), recursive=True) if os.path.isfile(path)):
            found += map(Path, fitting)
        elif stands(place):
            raise UsageError(f"{place} is no regular file; give an image or a folder of images")
        else:
            raise UsageError(f"there is no image {place}; check the path")
    return found


def predict(
    model: ConvNet | Runtime,
    weights: Weights,
    images: list[Path],
    execution: Execution = FEW,
    *,
    top: int = 5,
) -> tuple[list[Prediction], list[tuple[str, str]]]:
    """The `top` classes of every readable image, in order, and the damaged ones with the reason.

    The device is for networks in PyTorch; a runtime has its own.
    """
    source = pictures_of(images, weights.channels, lambda count: unlabelled(count, weights))
    return _predict(model, weights, source, top, execution)


def predict_frames(
    model: ConvNet | Runtime,
    weights: Weights,
    stream: BinaryIO,
    execution: Execution = FEW,
    *,
    top: int = 5,
) -> Iterator[tuple[list[Prediction], list[tuple[str, str]]]]:
    """What `predict` says of each batch of frames of a stream of JPEG images, as they come; `path` numbers them.

    Raises `CompoundError` at the end of a stream that had none.
    """
    coming, first = frames(stream), 0
    while some := list(islice(coming, execution.batch)):
        source = FrameSource(some, unlabelled(len(some), weights), first, weights.channels)
        yield _predict(model, weights, source, top, execution)
        first += len(some)
    if not first:
        raise CompoundError(
            "the stream holds no JPEG image; give frames, such as ffmpeg's with -f mjpeg, or name files or folders"
        )


class FrameSource(Source):
    """Encoded images in memory, numbered from `first`."""

    def __init__(self, encoded: Sequence[bytes], labels: Labels, first: int, channels: int) -> None:
        self.labels = labels
        self.encoded, self.first, self.channels = encoded, first, channels

    def path(self, index: int) -> str:
        return f"frame {self.first + index}"

    def identities(self) -> Hashes:
        return np.array([of_bytes([data]) for data in self.encoded], dtype=np.uint64)

    def load(self, index: int) -> Tensor:
        return decode_image(self.encoded[index], self.channels, self.path(index))

    def subset(self, indices: Labels) -> "FrameSource":
        return FrameSource([self.encoded[i] for i in indices], self.labels[indices], self.first, self.channels)


def unlabelled(count: int, weights: Weights) -> Labels:
    """Labels of nobody: one an image, or one for every class where images have several."""
    return np.zeros((count, len(weights.classes)) if weights.several else count, dtype=np.int64)


def _predict(
    model: ConvNet | Runtime, weights: Weights, source: Source, top: int, execution: Execution
) -> tuple[list[Prediction], list[tuple[str, str]]]:
    damage = DamageLog(limit=1.0)
    predictions = []
    for some in logits_over(model, source, damage, execution, few=True):
        probabilities = as_probabilities(some.logits, weights.several)
        strange = judged(some.logits, weights.unknown)
        for position, row, one, light in zip(
            some.indices.tolist(), probabilities, strange, some.brightness, strict=True
        ):
            best = best_classes(row, weights.classes, top)
            predictions.append(Prediction(source.path(position), best, *one, light))
    return predictions, list(damage.damaged.items())


def judged(logits: Tensor, unknown: Unknown | None) -> list[tuple[float | None, bool | None]]:
    """Of each row of logits (N, classes): its score, and whether that is too low for any class."""
    if unknown is None:
        return [(None, None)] * len(logits)
    return [(score, score < unknown.least) for score in unknown.scores(logits).tolist()]


def best_classes(probabilities: Tensor, classes: Sequence[str], top: int) -> list[tuple[int, str, float]]:
    """The `top` most probable of `probabilities` (classes,), best first: (index, name, probability)."""
    best = probabilities.topk(min(top, len(classes)))
    return [(index, classes[index], p) for index, p in zip(best.indices.tolist(), best.values.tolist(), strict=True)]
