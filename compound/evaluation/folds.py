"""What K models say about the images that each of them never saw: every image judged once, in one file."""

import json
import math
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from compound.bounds import bound
from compound.data.arrays import refuse_bomb
from compound.data.chance import Hashes
from compound.data.folds import Folded
from compound.data.source import Labels
from compound.documents import damage
from compound.errors import UsageError
from compound.evaluation.result import Evaluation
from compound.evaluation.statistics import wilson
from compound.files import open_regular, write_with

FILE = "out-of-fold.npz"
REMEDY = "make it again with --folds"


@dataclass(frozen=True)
class OutOfFold:
    """`result` has every readable image once, `fold`, `units` and `identities` (images,) say what is known of each.

    `model`: what was trained; `data`: the question that opens the images, as a run keeps it.
    """

    result: Evaluation
    fold: Labels
    units: Labels
    identities: Hashes
    names: tuple[str, ...]
    model: str
    data: Mapping[str, Any]

    @property
    def folds(self) -> int:
        return int(self.fold.max()) + 1

    @property
    def groups(self) -> int:
        """Units that no fold divides; as many as images where none belong together."""
        return len(np.unique(self.units))

    def accuracies(self) -> list[float]:
        """Top-1 of each fold."""
        hits = self.result.hits(1).numpy()
        return [float(hits[self.fold == number].mean()) for number in range(self.folds)]

    def interval(self) -> tuple[float, float]:
        """95 % of top-1 over all images: Wilson's; of images in groups the ratio estimator's (Cochran 1977, Eq. 6.13).

        The K models count as one: how much another training would differ is not in it (Bengio & Grandvalet 2004).
        """
        share, count = self.result.top(1), self.result.images
        _, unit, sizes = np.unique(self.units, return_inverse=True, return_counts=True)
        if len(sizes) == count:
            return wilson(share, count)
        right = np.bincount(unit, self.result.hits(1).double().numpy())
        spread = ((right - share * sizes) ** 2).sum() * len(sizes) / max(len(sizes) - 1, 1)
        error = 1.96 * math.sqrt(spread) / count
        return max(share - error, 0.0), min(share + error, 1.0)

    def to_json(self) -> dict[str, Any]:
        value: dict[str, Any] = {"folds": self.folds, "images": self.result.images, "top1": self.result.top(1)}
        value |= {"top1_interval": list(self.interval()), "top1_by_fold": self.accuracies()}
        return value | {"groups": self.groups, "calibration_error": self.result.calibration_error}

    def text(self) -> str:
        low, high = self.interval()
        each = ", ".join(f"{one:.1%}" for one in self.accuracies())
        among = f" in {self.groups:,} groups" if self.groups < self.result.images else ""
        return (
            f"{self.folds} folds: top-1 {self.result.top(1):.2%} (95 % interval {low:.2%} to {high:.2%}) of "
            f"{self.result.images:,} images{among}; by fold {each}"
        )


def gather(folded: Folded, results: Mapping[int, Evaluation], model: str) -> OutOfFold:
    """One table of the `results` of each fold, whose indices are positions among the images of that fold."""
    places = {number: np.flatnonzero(folded.fold == number) for number in results}
    at = np.concatenate([places[number][one.indices.numpy()] for number, one in results.items()])
    order = np.argsort(at)
    found = list(results.values())
    probabilities, labels = (torch.cat([getattr(one, name) for one in found]) for name in ("probabilities", "labels"))
    damaged = [item for one in found for item in one.damaged]
    whole = Evaluation(folded.data.classes, probabilities[order], labels[order], torch.from_numpy(at[order]), damaged)
    return of_all(folded, whole, model)


def of_all(folded: Folded, result: Evaluation, model: str) -> OutOfFold:
    """The table of `result`, whose indices are positions among all images that were folded."""
    at = result.indices.numpy()
    names = tuple(folded.source.path(index) for index in at.tolist())
    identities = folded.source.identities()[at]
    question = folded.data.spec.to_mapping() | {"name": folded.data.name}
    return OutOfFold(result, folded.fold[at], folded.units[at], identities, names, model, question)


def write_folds(path: Path, found: OutOfFold) -> Path:
    """An .npz of `probabilities` (n, K), `labels`, `folds`, `units`, `identities` and `names` (n,), `classes` (K,)."""
    head = {"model": found.model, "data": dict(found.data)}
    columns = {
        "probabilities": found.result.probabilities.numpy(), "labels": found.result.labels.numpy(),
        "folds": found.fold, "units": found.units, "identities": found.identities,
        "names": np.array([name.encode("utf-8", "surrogateescape") for name in found.names]),
        "classes": np.array(found.result.classes), "head": np.array(json.dumps(head)),
    }  # fmt: skip

    def write(temporary: str) -> None:
        with open(temporary, "wb") as file:
            np.savez_compressed(file, allow_pickle=False, **columns)

    return write_with(path, write)


def find_table(place: Path) -> Path:
    """The file, or that of the run or folder. Raises `UsageError` where there is none."""
    tried = (place / "folds" / FILE, place / FILE) if place.is_dir() else (place,)
    file = next((one for one in tried if one.is_file()), None)
    if file is None:
        raise UsageError(f"{place} holds no {FILE}; make one with compound train or compound probe … --folds 5")
    return file


def read_folds(place: Path) -> OutOfFold:
    """The table of a file, of a run or of a folder. Raises `UsageError`; nothing in it is unpickled."""
    file = find_table(place)
    try:
        with open_regular(file, bound("COMPOUND_MAX_ARRAYS")) as stream:
            refuse_bomb(stream, file)
            with np.load(stream, allow_pickle=False) as given:
                columns = {name: given[name] for name in given.files}
        return _checked(columns)
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror or error}; {REMEDY}") from None
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError):
        raise damage(file, "it is no table of out-of-fold probabilities", REMEDY) from None


def _checked(given: Mapping[str, Any]) -> OutOfFold:
    """Raises `ValueError` where arrays do not fit each other, or hold what no model says."""
    head = json.loads(str(given["head"]))
    classes = tuple(str(name) for name in given["classes"])
    probabilities, labels = given["probabilities"].astype(np.float32), given["labels"].astype(np.int64)
    fold, units = given["folds"].astype(np.int64), given["units"].astype(np.int64)
    names = tuple(bytes(name).decode("utf-8", "surrogateescape") for name in given["names"])
    count = len(labels)
    fits = probabilities.shape == (count, len(classes)) and count > 0 and len(classes) > 1
    if not fits or {len(fold), len(units), len(given["identities"]), len(names)} != {count}:
        raise ValueError
    if not (np.isfinite(probabilities).all() and probabilities.min() >= 0 and probabilities.max() <= 1.001):
        raise ValueError
    if labels.min() < 0 or labels.max() >= len(classes) or not 0 <= fold.min() <= fold.max() < count:
        raise ValueError
    result = Evaluation(classes, torch.from_numpy(probabilities), torch.from_numpy(labels), torch.arange(count), [])
    identities = given["identities"].astype(np.uint64)
    return OutOfFold(result, fold, units, identities, names, str(head["model"]), dict(head["data"]))
