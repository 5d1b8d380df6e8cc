"""Pictures without labels, for verbs that only look at them: image files, or the arrays of an .npz file."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from compound.data.arrays import pictures
from compound.data.source import ArraySource, FileSource, Labels
from compound.errors import UsageError

ARRAYS = ".npz"


def of_nobody(count: int) -> Labels:
    return np.zeros(count, dtype=np.int64)


def pictures_of(
    places: Sequence[str | Path], channels: int, labels: Callable[[int], Labels] = of_nobody
) -> FileSource | ArraySource:
    """Image files, or all images of one .npz file, for a network that reads `channels`; `labels` are of so many images.

    Raises `DataError` for arrays that hold no such images.
    """
    if not any(Path(place).suffix == ARRAYS for place in places):
        return FileSource(places, labels(len(places)), channels)
    if len(places) > 1:
        raise UsageError(f"an {ARRAYS} file has pictures enough of its own; give it alone, or image files")
    return pictures(Path(places[0]), channels, labels)
