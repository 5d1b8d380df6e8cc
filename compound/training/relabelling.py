"""Data with the class numbers of a network that knows its classes in another order, or more of them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from compound.data import DataSet, Source
from compound.data.source import Labels
from compound.errors import UsageError


def as_classes(data: DataSet, classes: Sequence[str], several: bool, where: str) -> DataSet:
    """`data` with the numbers that its labels have in `classes`. Raises `UsageError` as `relabelled`."""
    train, holdout, test = (
        relabelled(part, data.classes, classes, several, where) for part in (data.train, data.holdout, data.test)
    )
    return replace(data, classes=tuple(classes), train=train, holdout=holdout, test=test)


def relabelled(source: Source, have: Sequence[str], classes: Sequence[str], several: bool, where: str) -> Source:
    """`source`, whose labels are numbers of `have`, with the numbers that these names have in `classes`.

    `several`: whether the network knows several labels an image. Raises `UsageError` where the two differ in that, or
    an image is of a class that is not in `classes`.
    """
    labels = source.labels
    if (labels.ndim == 2) != several:
        kinds = ("one label", "several labels")
        raise UsageError(
            f"{where} has {kinds[labels.ndim == 2]} an image and the network knows {kinds[several]}; "
            "evaluate on data like that of its training"
        )
    if tuple(have) == tuple(classes):
        return source
    number = {name: place for place, name in enumerate(classes)}
    used = np.flatnonzero(labels.any(0)) if several else np.unique(labels)
    unknown = [have[i] for i in used.tolist() if have[i] not in number]
    if unknown:
        raise UsageError(
            f"{where} has {_few(unknown)}, which the network does not know, of its {len(classes)} classes "
            f"{_few(list(classes))}; evaluate on data with the same classes"
        )
    places = np.array([number.get(name, 0) for name in have], dtype=np.int64)
    return source.labelled(_several(labels, used, places, len(classes)) if several else places[labels])


def _several(labels: Labels, used: Labels, places: Labels, count: int) -> Labels:
    found = np.zeros((len(labels), count), dtype=np.int64)
    found[:, places[used]] = labels[:, used]
    return found


def _few(names: list[str]) -> str:
    return ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
