"""Dividing images into folds: each is tested once by a model that never saw it, nor a copy or a relative of it."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from heapq import heapify, heapreplace
from pathlib import Path

import numpy as np

from compound.data.chance import Hashes, Purpose, hashes
from compound.data.errors import DataError
from compound.data.identity import names_within
from compound.data.lists import PATH, ImageList
from compound.data.open import DataSet
from compound.data.source import Labels, Source, concatenated, subset
from compound.data.split import by_identity


def fold_of(labels: Labels, folds: int, seed: int = 0, units: Labels | None = None) -> Labels:
    """Which of `folds` parts each image is in, (n,): at random, and of every class about as many in each.

    Images of one unit (`units` (n,), see `units_of`) are in one fold. Raises `DataError` for more folds than units.
    """
    if not 2 <= folds <= len(labels):
        raise DataError(f"folds {folds} is not possible with {len(labels)} images; use 2 or more, usually 5")
    order = np.argsort(hashes(seed, 0, np.arange(len(labels)), Purpose.SPLIT), kind="stable")
    if units is None or len(np.unique(units)) == len(labels):
        order = order[np.argsort(labels[order], kind="stable")]  # class by class, at random within
        fold = np.empty(len(labels), dtype=np.int64)
        fold[order] = np.arange(len(labels)) % folds
        return fold
    return _dealt(labels, folds, units, order)


def _dealt(labels: Labels, folds: int, units: Labels, order: Labels) -> Labels:
    """The folds of units: those of several images first, the largest first; then the others, class by class."""
    _, unit, sizes = np.unique(units, return_inverse=True, return_counts=True)
    if len(sizes) < folds:
        raise DataError(f"folds {folds} is not possible with {len(sizes)} groups; use at most as many folds as groups")
    members = np.split(np.argsort(unit, kind="stable"), np.cumsum(sizes)[:-1])
    counts = np.zeros((folds, int(labels.max()) + 1), dtype=np.int64)
    fold = np.empty(len(labels), dtype=np.int64)
    several = [one for one in dict.fromkeys(unit[order].tolist()) if sizes[one] > 1]
    for one in sorted(several, key=lambda number: -int(sizes[number])):
        theirs = np.bincount(labels[members[one]], minlength=counts.shape[1])
        place = int(np.lexsort((counts.sum(1), counts @ theirs))[0])  # the fewest of its classes, then the fewest
        counts[place] += theirs
        fold[members[one]] = place
    single = order[sizes[unit[order]] == 1]
    totals = counts.sum(1).tolist()
    for label in range(counts.shape[1]):
        free = [(counts[place, label], totals[place], place) for place in range(folds)]
        heapify(free)
        for index in single[labels[single] == label].tolist():
            count, total, place = free[0]
            heapreplace(free, (count + 1, total + 1, place))
            fold[index] = place
        totals = [total for _, total, _ in sorted(free, key=lambda one: one[2])]
    return fold


def units_of(identities: Hashes, groups: Labels | None = None) -> Labels:
    """What must not be divided, as numbers (n,): images of one content or one group, and what these tie together."""
    _, content = np.unique(identities, return_inverse=True)
    unit: Labels = content.astype(np.int64)
    if groups is None:
        return unit
    while True:  # the smallest number of each group, then of each content, until none gets smaller
        smaller = _smallest(_smallest(unit, groups), content)
        if np.array_equal(smaller, unit):
            return unit
        unit = smaller


def _smallest(values: Labels, groups: Labels) -> Labels:
    """The smallest of `values` within each group, (n,)."""
    _, number = np.unique(groups, return_inverse=True)
    least = np.full(int(number.max(initial=-1)) + 1, np.iinfo(np.int64).max)
    np.minimum.at(least, number, values)
    found: Labels = least[number]
    return found


def groups_in(data: DataSet, source: Source, group: str) -> Labels:
    """The group of each image of `source`, as numbers (n,); see `names_by`."""
    names = names_by(data.spec.where, group, [source.path(index) for index in range(len(source))])
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def names_by(place: str, group: str, paths: Sequence[str]) -> list[str]:
    """The name of the group of each image of the data at `place`, (n,).

    `group` names a column of the CSV file that the data is, or else is a regular expression that is looked for in the
    names of images within the data: its first group, or all it matches, is the name of the group. Raises `DataError`
    where there are not two groups.
    """
    where = Path(place).expanduser()
    names = _column_of(where, group, paths) if where.suffix.lower() == ".csv" else None
    if names is None:
        names = _matched(group, [*map(names_within(place), paths)], where)
    if len(set(names)) < 2:
        raise DataError(f"--group {group!r} puts all {len(names):,} images into one group; two or more are needed")
    return names


def _column_of(path: Path, column: str, wanted: Sequence[str]) -> list[str] | None:
    """The values of a column for these images; None where the file has no such column."""
    given = ImageList(path)
    at, name = given.find(PATH), given.find((column.strip().lower(),))
    if at is None or name is None:
        return None
    known = {os.path.join(path.parent, line.get(at)): line.get(name) for line in given}
    values = [known.get(one, "") for one in wanted]
    if "" in values:
        raise DataError(f"{path}: column {column} is empty for {wanted[values.index('')]}; fill it in")
    return values


def _matched(pattern: str, names: Sequence[str], where: Path) -> list[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise DataError(f"--group {pattern!r} is no column of {where} and no regular expression: {error}") from None
    found = []
    for name in names:
        match = compiled.search(name)
        value = match and (match.group(1) if compiled.groups else match.group())
        if not value:
            raise DataError(f"--group {pattern!r} finds nothing in {name}; every image needs a group")
        found.append(value)
    return found


@dataclass(frozen=True)
class Folds:
    """How many; the `group` that none divides, see `groups_in`; where their probabilities are written, if they are."""

    count: int
    group: str | None = None
    out: Path | None = None

    def __post_init__(self) -> None:
        if self.count < 2:
            raise DataError(f"folds {self.count} is not possible; use 2 or more, usually 5")


@dataclass(frozen=True)
class Folded:
    """All images of a data set, the `fold` of each, (n,), and the `units` that no fold divides, (n,)."""

    data: DataSet
    source: Source
    fold: Labels
    units: Labels

    @property
    def folds(self) -> int:
        return int(self.fold.max()) + 1

    def without(self, number: int) -> DataSet:
        """The data with fold `number` to test; of the others a holdout is drawn, as the data's question has it."""
        test, others = np.flatnonzero(self.fold == number), np.flatnonzero(self.fold != number)
        units, spec = self.units[others].astype(np.uint64), self.data.spec
        share, labels = spec.holdout, self.source.labels[others]
        kept, held = by_identity(labels, units, share, spec.seed + 1)
        if share < 1 and len(held) > 1.5 * share * len(units):  # of a few groups chance may take most: so many at most
            fewer = by_identity(labels, units, max(1, round(share * len(units))), spec.seed + 1)
            kept, held = fewer if len(fewer[1]) else (kept, held)
        train, holdout, judged = (subset(self.source, rows) for rows in (others[kept], others[held], test))
        return replace(self.data, train=train, holdout=holdout, test=judged)


def folded(data: DataSet, folds: int, seed: int = 0, group: str | None = None, parts: Sequence[Source] = ()) -> Folded:
    """The images of `parts`, by default all of `data`, in folds.

    Raises `DataError` for several labels an image, and for what cannot be divided so.
    """
    if data.several:
        raise DataError(f"{data.name} has several labels an image, and folds are of one; leave --folds out")
    first, *others = [part for part in parts or (data.train, data.holdout, data.test) if len(part)]
    source = reduce(concatenated, others, first)
    units = units_of(source.identities(), groups_in(data, source, group) if group else None)
    return Folded(data, source, fold_of(source.labels, folds, seed, units), units)
