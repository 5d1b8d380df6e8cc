"""A data set from what a user writes: a name, a folder or a CSV file."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from compound.data.arrays import open_arrays
from compound.data.cache import is_cache, open_cache
from compound.data.corrections import Corrections
from compound.data.errors import AbsentData, DataError, refuse
from compound.data.folder import open_csv, open_folder
from compound.data.identity import Identity, names_within, of_files, of_names
from compound.data.idx import is_idx_folder, open_idx
from compound.data.named import NAMED, open_named
from compound.data.shards import is_shards, open_shards
from compound.data.source import ArraySource, FileSource, Source, concatenated, subset
from compound.data.spec import HELD, DataSpec
from compound.data.split import by_identity, stratified
from compound.data.tables import Tables
from compound.mapping import nearest
from compound.notes import note
from compound.places import beside

FASHION6K = Path(__file__).parent / "fashion6k"
CACHE = Path("~/.cache/compound")
ARRAYS = ".npz"
TEST_SHARE = 0.2  # of the images of a data set that comes without a test part


@dataclass(frozen=True)
class DataSet:
    """Images and class names. `holdout` is taken out of the training images, to choose by; `test` is only reported.

    `asked` is the question that opened it, None where there was none; channels stand in it as they came out.
    `left_out` has what holds images and cannot be used, with the reasons.
    """

    name: str
    classes: tuple[str, ...]
    channels: int
    train: Source
    holdout: Source
    test: Source
    asked: DataSpec | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def spec(self) -> DataSpec:
        """The question that opens the data set again; of one made by hand its name, which opens nothing."""
        return self.asked or DataSpec(self.name, self.channels)

    @property
    def several(self) -> bool:
        """Whether an image may have several labels, or none."""
        return self.train.labels.ndim == 2

    def without_holdout(self) -> "DataSet":
        """The same data with the held-out images back among the training images."""
        train = concatenated(self.train, self.holdout)
        nothing = subset(train, np.empty(0, dtype=np.int64))
        return replace(self, train=train, holdout=nothing, asked=replace(self.spec, holdout=0.0))

    def fingerprint(self) -> str:
        """Twelve hex digits that change when name, classes, channels, labels or images of a part do.

        Not their order or what files are called, where content tells them apart.
        """
        head = json.dumps([self.name, self.classes, self.channels])
        digest = hashlib.sha256(head.encode())
        for part in (self.train, self.holdout, self.test):
            digest.update(len(part).to_bytes(8, "little"))
            identities, rows = part.identities().astype("<u8"), np.atleast_2d(part.labels.T).T.astype("<i8")
            order = np.lexsort([*rows.T, identities])
            digest.update(identities[order].tobytes() + rows[order].tobytes())
        return digest.hexdigest()[:12]

    def fingerprint_of_labels(self) -> str:
        """What runs kept before images were told apart: of these it knows how many there are, and their labels."""
        digest = hashlib.sha256(json.dumps([self.name, self.classes, self.channels]).encode())
        for part in (self.train, self.holdout, self.test):
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(np.ascontiguousarray(part.labels, dtype="<i8").tobytes())
        return digest.hexdigest()[:12]


def open_data(
    where: str,
    *,
    channels: int | None = None,
    holdout: float = HELD,
    seed: int = 0,
    root: Path | None = None,
    download: bool = False,
) -> DataSet:
    """The data set of a `DataSpec` of these fields."""
    return DataSpec(where, channels, holdout, seed, root, download).open()


def opened(spec: DataSpec) -> DataSet:
    """The data set that `spec` asks for; see there."""
    return _divided(read_tables(spec), spec)


def read_tables(spec: DataSpec) -> Tables:
    """The parts that the data comes with, before anything is split off them."""
    channels = spec.channels
    if channels not in (None, 1, 3) and not spec.where.endswith(ARRAYS):
        raise DataError(f"channels {channels} is not possible; use 1 for grey or 3 for RGB")
    tables = _read(spec.where, channels, (spec.root or CACHE).expanduser(), spec.download)
    if channels and channels != tables.channels:
        if {channels, tables.channels} != {1, 3}:
            raise DataError(
                f"{spec.where} has {tables.channels} channels, which do not become {channels}; leave --channels out"
            )
        tables = _converted(tables, channels)
    return _told_apart(tables, spec.by or tables.by)


def _read(spec: str, channels: int | None, root: Path, download: bool) -> Tables:
    name = spec.lower().replace("-", "").replace("_", "")
    if name == "fashion6k":
        return open_idx(FASHION6K, "fashion6k")
    if name in NAMED:
        return open_named(name, channels, root, download)
    if is_shards(spec):
        return open_shards(spec, channels or 3, root)
    path = Path(spec).expanduser()
    if path.is_dir():
        path = Path(os.path.abspath(path))  # `.` has no name
        if is_cache(path):
            return _of_channels(open_cache(path), channels, spec)
        return open_idx(path, path.name) if is_idx_folder(path) else open_folder(path, channels or 3)
    if path.is_file():
        if path.suffix == ARRAYS:
            return open_arrays(path)
        if path.suffix.lower() != ".csv":
            raise DataError(f"{spec} is no folder, .csv or .npz file; give one of these or a data set's name")
        return open_csv(path, channels or 3)
    if path.exists():  # a pipe would be waited for, and a device never ends
        raise DataError(f"{spec} is no regular file and no folder; give one of these")
    if os.sep in spec or path.suffix:
        otherwise = "give an existing folder, a CSV file or a data set's name"
        raise AbsentData(f"there is no {spec}; {nearest(spec, beside(path), 'places', otherwise)}")
    known = ["fashion6k", *NAMED]
    otherwise = f"known: {', '.join(known)}, or a folder or CSV file"
    hint = nearest(spec, [*beside(path), *known], "sets", otherwise, lambda one: one.lower().replace("_", "-"))
    raise AbsentData(f"there is no data set or folder {spec!r}; {hint}")


def _of_channels(tables: Tables, channels: int | None, spec: str) -> Tables:
    if channels not in (None, tables.channels):
        raise DataError(f"{spec} is a cache of {tables.channels} channels, not {channels}; write one with --channels")
    return tables


def _told_apart(tables: Tables, by: Identity) -> Tables:
    """Files with what they are told apart by."""

    def known(source: Source | None) -> Source | None:
        if not isinstance(source, FileSource) or tables.base is None or by == "position":
            return source
        paths = source.paths()
        names = [path.removeprefix(f"{tables.base}{os.sep}") for path in paths]
        return source.known_by(of_names(names) if by == "name" else of_files(paths))

    return replace(tables, by=by, train=known(tables.train), holdout=known(tables.holdout), test=known(tables.test))


def _converted(tables: Tables, channels: int) -> Tables:
    """Arrays in memory with `channels`; files were opened with them."""

    def converted(source: Source | None) -> Source | None:
        return source.to_channels(channels) if isinstance(source, ArraySource) else source

    train, holdout, test = map(converted, (tables.train, tables.holdout, tables.test))
    return replace(tables, channels=channels, train=train, holdout=holdout, test=test)


def _divided(tables: Tables, spec: DataSpec) -> DataSet:
    train, test, held = tables.to_train(), tables.test, tables.holdout
    if len(tables.classes) < 2:
        found = repr(tables.classes[0]) if tables.classes else "none"
        refuse(f"{spec.where} has a single class, {found}; {_inner(spec.where, tables.classes)}")
    left_out = dict(tables.left_out)
    if test is None:
        train, test = _split(train, TEST_SHARE, spec.seed, tables.by)
    elif tables.by == "content":
        test = _unlike(train, test, "test", left_out)
    if held is None:
        if spec.most is not None and spec.holdout < 1 and spec.holdout * len(train) > spec.most:
            spec = replace(spec, holdout=spec.most)
        train, held = _split(train, spec.holdout, spec.seed + 1, tables.by)
    elif tables.by == "content":
        held = _unlike(train, held, "validation", left_out)
    for part, source in (("train on", train), ("test with", test)):
        if not len(source):
            every = tables.to_train()
            alike = len(every) - len(np.unique(every.identities())) if tables.by == "content" else 0
            copies = f", {alike:,} of them copies of another, which stay together" if alike else ""
            refuse(
                f"{spec.where} has no image to {part}: {_counted(every, tables.classes)}{copies}; give two or more "
                "of a class, or a part of its own"
            )
    asked = replace(spec, channels=tables.channels, by=tables.by, most=None)
    return corrected(DataSet(tables.name, tables.classes, tables.channels, train, held, test, asked, left_out))


def _inner(where: str, classes: tuple[str, ...]) -> str:
    """What to do about a single class: an archive often holds one folder, which holds them all."""
    inside = Path(where).expanduser().joinpath(*classes)
    within = sum(each.is_dir() for each in inside.iterdir()) if classes and inside.is_dir() else 0
    return f"name {inside}, if its {within} folders are the classes" if within > 1 else "give two or more to tell apart"


def corrected(data: DataSet) -> DataSet:
    """`data` as the lists of its question have it. Test images stay as they are, so that no model judges itself."""
    relabel, drop = data.spec.relabel, data.spec.drop
    if relabel is None and drop is None:
        return data
    if data.several:
        raise DataError(f"{data.name} has several labels an image, and lists of corrections are of one; leave them out")
    lists, name = Corrections(data.classes, relabel, drop), names_within(data.spec.where)
    train, holdout = (lists.applied(part, name) for part in (data.train, data.holdout))
    for sentence in lists.told(data.test, name):
        note(sentence)
    if not len(train):
        raise DataError(f"{drop} leaves no image of {data.name} to train on; drop fewer")
    return replace(data, train=train, holdout=holdout)


def _counted(source: Source, classes: tuple[str, ...]) -> str:
    return f"{len(source):,} image{'s' * (len(source) != 1)} in {len(classes)} classes"


def _unlike(train: Source, other: Source, part: str, left_out: dict[str, str]) -> Source:
    """The images of `other` that are no copies of training images; copies go to `left_out`."""
    copies = np.isin(other.identities(), train.identities())
    for index in np.flatnonzero(copies).tolist():
        left_out[other.path(index)] = "it is a copy of an image to train on"
    if len(other) and copies.all():
        refuse(f"every image to use for {part} is a copy of one to train on, such as {other.path(0)}; give others")
    return subset(other, np.flatnonzero(~copies)) if copies.any() else other


def _split(source: Source, share: float, seed: int, by: Identity) -> tuple[Source, Source]:
    """Those kept, and the others."""
    if by == "position":
        kept, taken = stratified(source.labels, share, seed)
    else:
        kept, taken = by_identity(source.labels, source.identities(), share, seed)
    return subset(source, kept), subset(source, taken)
