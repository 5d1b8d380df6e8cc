"""images.csv of a run: every image it trained on, held out or keeps to test, by what it is and not by where it stands.

So no accuracy includes an image that was trained on, whatever came, went or was renamed since (decision 37).
"""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compound.bounds import bound
from compound.data import DataError, DataSet, Source, subset
from compound.data.chance import Hashes
from compound.data.identity import names_within, of_names
from compound.data.shard_source import ShardSource
from compound.data.shards import SUFFIX
from compound.data.source import Labels, concatenated
from compound.documents import csv_text, unguarded
from compound.errors import UsageError
from compound.files import read_regular, stands, write_bytes

PARTS = ("train", "holdout", "test")
IDENTITY = re.compile("[0-9a-f]{16}")
FIRST = 20  # names that are looked at
PLACE = re.compile(r"\[\d+\]$")
BY_CONTENT = "the content of their files"
IMAGES, WEIGHTS = "images.csv", "model.safetensors"
HEADER = ("part", "identity", "name")


@dataclass(frozen=True)
class Seen:
    """The images of a run in its order: `identities` (n,), `parts` (n,) by their place in `PARTS`, and `names` (n)."""

    identities: Hashes
    parts: NDArray[np.int8]
    names: tuple[str, ...]

    def of(self, part: str) -> Hashes:
        found: Hashes = self.identities[self.parts == PARTS.index(part)]
        return found

    @cached_property
    def apart(self) -> str:
        """By what its images were told apart; only what was told apart alike can be compared."""
        return told_apart(self.names, self.identities)

    @cached_property
    def counts(self) -> dict[str, int]:
        return {part: len(self.of(part)) for part in PARTS}


@dataclass(frozen=True)
class Changes:
    """What became of a run's images, by name; how many of those that `came` are `judged`, None where none is used."""

    came: tuple[str, ...] = ()
    judged: int | None = None
    went: tuple[str, ...] = ()
    renamed: tuple[str, ...] = ()
    edited: tuple[str, ...] = ()

    def __str__(self) -> str:
        """One sentence, or nothing."""
        left = (
            f"of which {self.judged:,} {'is' if self.judged == 1 else 'are'} judged" if self.judged is not None else ""
        )
        told = [f"{_counted(self.came)} came, {left or 'which it does not use'}"] if self.came else []
        told += [f"{_counted(self.went)} went"] if self.went else []
        told += [f"{_counted(self.renamed)} {_have(self.renamed)} another name or place"] if self.renamed else []
        told += [f"{_counted(self.edited)} {_have(self.edited)} other bytes"] if self.edited else []
        return f"since the training {'; '.join(told)}" if told else ""


def all_learned(seen: Seen, before: Seen | None) -> Seen:
    """All images of `seen` as learned, with what was learned `before`."""
    whole = replace(seen, parts=np.zeros_like(seen.parts))
    if before is None:
        return whole
    earlier = before.parts < PARTS.index("test")
    names = tuple(name for name, learned in zip(before.names, earlier.tolist(), strict=True) if learned)
    identities = np.concatenate([whole.identities, before.identities[earlier]])
    return Seen(identities, np.zeros(len(identities), np.int8), (*whole.names, *names))


def told_apart(names: Sequence[str], identities: Hashes) -> str:
    """What images of these names were told apart by, as their first ones show."""
    first = names[:FIRST]
    if any(f"{SUFFIX}/" in name for name in first):
        return "their place in tar shards"
    if any(PLACE.search(name) for name in first):
        return "their pixels in an array"
    return "their names" if np.isin(of_names(first), identities[:FIRST]).any() else BY_CONTENT


def list_beside(weights: Path) -> Path:
    """The list of what weights that are no run learned: images.csv in their folder, or FILE.images.csv."""
    folder = weights if weights.is_dir() else weights.parent
    return folder / IMAGES if weights.is_dir() or weights.name == WEIGHTS else weights.with_suffix(f".{IMAGES}")


def seen_in(data: DataSet) -> Seen:
    """What a run that begins with `data` is to remember."""
    sources = [data.train, data.holdout, data.test]
    within = names_within(data.spec.where)
    names = [within(source.path(i)) for source in sources for i in range(len(source))]
    parts = np.repeat(np.arange(3, dtype=np.int8), [len(source) for source in sources])
    return Seen(np.concatenate([source.identities() for source in sources]), parts, tuple(names))


def write_seen(path: Path, seen: Seen) -> None:
    rows = zip(seen.parts.tolist(), seen.identities.tolist(), seen.names, strict=True)
    text = csv_text(HEADER, ((PARTS[part], f"{identity:016x}", name) for part, identity, name in rows))
    write_bytes(path, text.encode("utf-8", "surrogateescape"))


def read_seen(path: Path) -> Seen | None:
    """None where there is no such file, as in runs of older versions."""
    if not stands(path):
        return None
    try:
        text = read_regular(path, bound("COMPOUND_MAX_INDEX")).decode("utf-8", "surrogateescape")
        if not text.endswith("\n"):
            raise ValueError("its last line is cut off")
        first, *rows = csv.reader(io.StringIO(text, newline=""))
        if tuple(first) != HEADER:
            raise ValueError(f"its first line is {','.join(first)}")
        parts = [PARTS.index(part) for part, _, _ in rows]
        identities = [_identity(identity) for _, identity, _ in rows]
        return Seen(np.array(identities, np.uint64), np.array(parts, np.int8), tuple(unguarded(row[2]) for row in rows))
    except (OSError, ValueError, OverflowError, csv.Error) as error:
        raise UsageError(f"{path} is damaged: {error}; without it nobody knows what was trained on") from None


def _identity(text: str) -> int:
    if not IDENTITY.fullmatch(text):
        raise ValueError("an identity in it is not 16 hexadecimal digits")
    return int(text, 16)


def recalled(seen: Seen, data: DataSet, new: bool = False) -> tuple[DataSet, Changes]:
    """`data` divided and ordered as the run had it, and what changed. An image keeps the part it had in the run.

    It is found by what it is, or else by its name, since one that was written again is no new one. With `new` those
    that came stand in the part that `data` has them in; otherwise they are left out.
    """
    sources = [data.train, data.holdout, data.test]
    found = [source.identities() for source in sources]
    if all(np.array_equal(one, seen.of(part)) for one, part in zip(found, PARTS, strict=True)):
        return data, Changes(renamed=_renamed(seen, data, np.arange(len(seen.parts))))
    whole, within = _Whole(sources), names_within(data.spec.where)
    places, come = _located(np.concatenate(found), seen.identities), ~np.isin(np.concatenate(found), seen.identities)
    edited = _by_name(seen, places, {within(whole.path(i)): i for i in np.flatnonzero(come).tolist()})
    come[places[edited]] = False
    gone = np.flatnonzero(places < 0)
    owner = np.repeat(np.arange(3), [len(one) for one in found])
    taken = come & new
    if (seen.parts[gone] == 0).any() and _known_by_name(
        data
    ):  # one of another name may be an image that was trained on
        taken &= False
    parts = []
    for number in range(3):
        old = places[(seen.parts == number) & (places >= 0)]
        if new:  # of copies that went, none is counted twice
            old = old[np.sort(np.unique(old, return_index=True)[1])]
        parts.append(whole.subset(np.concatenate([old, np.flatnonzero(taken & (owner == number))]), number))
    changes = Changes(
        came=tuple(sorted(within(whole.path(i)) for i in np.flatnonzero(come).tolist())),
        judged=int((taken & (owner == 2)).sum()) if new else None,
        went=tuple(seen.names[i] for i in gone.tolist()),
        renamed=_renamed(seen, data, places),
        edited=tuple(seen.names[i] for i in edited.tolist()),
    )
    train, holdout, test = parts
    return replace(data, train=train, holdout=holdout, test=test), changes


def _by_name(seen: Seen, places: Labels, new: dict[str, int]) -> Labels:
    """Which of those that were not found are there under their names with other bytes; `places` gets where."""
    found = [i for i in np.flatnonzero(places < 0).tolist() if seen.names[i] in new]
    places[found] = [new[seen.names[i]] for i in found]
    return np.array(found, dtype=np.int64)


def _known_by_name(data: DataSet) -> bool:
    return data.spec.by == "name" or isinstance(data.train, ShardSource)


class _Whole:
    """The images of several sources by one number, those of the first first."""

    def __init__(self, sources: list[Source]) -> None:
        self.sources = sources
        self.ends = np.cumsum([0, *(len(source) for source in sources)])

    def path(self, index: int) -> str:
        owner = int(np.searchsorted(self.ends, index, side="right")) - 1
        return self.sources[owner].path(index - int(self.ends[owner]))

    def subset(self, indices: Labels, part: int) -> Source:
        """Of sources that make no one source, as arrays of several files, only those of their own `part`."""
        own = (indices >= self.ends[part]) & (indices < self.ends[part + 1])
        if not own.all():
            try:
                first, *others = self.sources
                for source in others:
                    first = concatenated(first, source)
                return subset(first, indices)
            except DataError:
                pass
        return subset(self.sources[part], indices[own] - self.ends[part])


def _located(found: Hashes, wanted: Hashes) -> Labels:
    """Where each of `wanted` (n,) stands in `found`, the k-th of several copies at the k-th place; −1 for none."""
    order, rank = np.argsort(found, kind="stable"), np.empty(len(wanted), dtype=np.int64)
    first, last = (np.searchsorted(found[order], wanted, side=side) for side in ("left", "right"))
    rows = np.argsort(wanted, kind="stable")
    rank[rows] = np.arange(len(wanted)) - np.searchsorted(wanted[rows], wanted[rows], side="left")
    there = last > first
    places = np.full(len(wanted), -1, dtype=np.int64)
    places[there] = order[(first + np.minimum(rank, last - first - 1))[there]]
    return places


def _renamed(seen: Seen, data: DataSet, places: Labels) -> tuple[str, ...]:
    """The images of a run that are found under another name; there may be as many of that name as copies."""
    whole, within = _Whole([data.train, data.holdout, data.test]), names_within(data.spec.where)
    located = zip(seen.names, places.tolist(), strict=True)
    there = [(name, within(whole.path(at))) for name, at in located if at >= 0]
    now = {name for _, name in there}
    return tuple(before for before, name in there if before != name and before not in now)


def _counted(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    return f"{len(names):,} image{'s' * (len(names) > 1)} ({shown})"


def _have(names: tuple[str, ...]) -> str:
    return "has" if len(names) == 1 else "have"
