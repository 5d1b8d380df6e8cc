"""What evaluation.json and predictions.json say, cut to what a page can show."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from compound.errors import UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

CARDS = 12  # of each kind
LARGEST = 320  # px of an image's longer side within the page
TINY = 96  # px up to which an image is shown with its pixels
PIXELS = 64_000_000  # of an image that is still opened


class Confused(NamedTuple):
    """`times` of the `images` of class `truth` were taken for `predicted`."""

    truth: str
    predicted: str
    times: int
    images: int


class Recall(NamedTuple):
    """The share of a class's images that were recognised; None without images."""

    name: str
    right: int
    images: int
    share: float | None


class Bar(NamedTuple):
    name: str
    probability: float
    is_truth: bool


@dataclass(frozen=True)
class Card:
    """One example: `uri` is the image within the page, None when it cannot be read."""

    truth: str
    predicted: str
    uri: str | None
    tiny: bool
    bars: tuple[Bar, ...]

    @property
    def right(self) -> bool:
        return self.truth == self.predicted


Confusion = Sequence[Mapping[int, int]]
"""For each true class how many images were taken for which class; only what occurs."""


def read_confusion(told: Mapping[str, Any], classes: Sequence[str], where: Path) -> Confusion | None:
    """What evaluation.json says, in pairs or, of older versions, as a matrix with a row and a column a class."""
    count = len(classes)
    size = f"{count} × {count}, the classes of run.yaml"
    wrong = f"{where}: the confusion matrix is not {size}; delete the file, or train again"
    matrix, pairs = told.get("confusion"), told.get("confusion_pairs")
    if matrix is None and pairs is None:
        return None
    rows: list[dict[int, int]] = [{} for _ in classes]
    try:
        if matrix is not None and pairs is None:
            if len(matrix) != count or any(len(row) != count for row in matrix):
                raise ValueError
            pairs = [(t, p, images) for t, row in enumerate(matrix) for p, images in enumerate(row) if images]
        for truth, predicted, images in pairs or ():
            if not (0 <= truth < count and 0 <= predicted < count):
                raise ValueError
            rows[truth][predicted] = int(images)
    except (TypeError, ValueError, OverflowError):
        raise UsageError(wrong) from None
    return rows


def most_confused(confusion: Confusion, classes: Sequence[str], count: int = 5) -> list[Confused]:
    """The most frequent mistakes, ties in the order of the classes."""
    pairs = [
        (-wrong, truth, predicted)
        for truth, row in enumerate(confusion)
        for predicted, wrong in row.items()
        if truth != predicted
    ]
    return [
        Confused(classes[t], classes[p], -wrong, sum(confusion[t].values())) for wrong, t, p in sorted(pairs)[:count]
    ]


def recalls(confusion: Confusion, classes: Sequence[str]) -> list[Recall]:
    """Recall of every class, the best first; classes without test images last."""
    found = []
    for number, (name, row) in enumerate(zip(classes, confusion, strict=True)):
        images, right = sum(row.values()), row.get(number, 0)
        found.append(Recall(name, right, images, right / images if images else None))
    return sorted(found, key=lambda one: -1.0 if one.share is None else one.share, reverse=True)


def cards(folder: Path, predictions: Sequence[Mapping[str, Any]], kind: str) -> list[Card]:
    """The first examples of `kind` with their images read from below `folder`."""
    found = []
    for one in [each for each in predictions if each["kind"] == kind][:CARDS]:
        top = [Bar(c["name"], c["probability"], c["name"] == one["truth"]) for c in one["classes"][:3]]
        uri, tiny = image_uri(folder, one["path"])
        found.append(Card(one["truth"], top[0].name if top else "", uri, tiny, tuple(top)))
    return found


def columns_of(count: int) -> int:
    """Columns of a grid of `count` cards: those that leave the fewest places of the last row empty."""
    return min((5, 4), key=lambda columns: (-count % columns, -columns))


def image_uri(folder: Path, name: str, largest: int = LARGEST) -> tuple[str | None, bool]:
    """The image as a data URI, of `largest` px at most, and whether it is tiny."""
    from PIL import Image

    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):  # a page holds only what lies in its run
        return None, False
    try:
        with Image.open(path) as image:
            if image.width * image.height > PIXELS:
                return None, False
            tiny = max(image.size) <= TINY
            if image.format == "PNG" and max(image.size) <= largest:
                return _uri("png", path.read_bytes()), tiny
            small = image.convert("L" if image.mode in ("1", "L") else "RGB")
            small.thumbnail((largest, largest))
            return jpeg_uri(small), tiny
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None, False


def jpeg_uri(image: "Image") -> str:
    """The image as a JPEG within the page."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=88)
    return _uri("jpeg", file.getvalue())


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
