"""Image files in a folder a class, or listed in a CSV file."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from compound.data.errors import DataError, refuse
from compound.data.identity import MOST_READ, Identity
from compound.data.listing import CIRCLE, Inode, inode_of, is_image, listed, unread
from compound.data.lists import LABEL, PATH, SEVERAL, SPLIT, ImageList
from compound.data.parts import HOLDOUT, PARTS, TEST, TRAIN, alike, parts_in_words
from compound.data.source import FileSource, Source
from compound.data.tables import Tables
from compound.notes import note

DIGITS = 4000  # of a class that is a number; Python reads no longer ones
SEPARATOR = ";"


class Entry(NamedTuple):
    path: str
    label: str  # several, in a CSV file's column `labels`: separated by semicolons


def open_folder(folder: Path, channels: int) -> Tables:
    """`folder`/CLASS/…, or `folder`/train/CLASS/… beside test/ and, if there are both, val/ as the holdout."""
    inner = _folders(folder)
    lower = {name.lower(): name for name in reversed(inner)}
    train, holdout, test = (_first(inner, lower, names) for names in (TRAIN, HOLDOUT, TEST))
    if train is None or not _folders(inner[train]):  # a class may be called train, as beside car and bus
        in_words = parts_in_words(inner)
        if in_words and all(map(_folders, in_words.values())):
            return _of_classes(folder, in_words, channels, {})
        if not inner or not set(lower) <= {*TRAIN, *HOLDOUT, *TEST}:
            doubt = alike({name: set(_folders(place)) for name, place in inner.items()}) if inner else ""
            if doubt:
                note(f"warning: {folder}: {doubt}")
            return _of_classes(folder, {"train": folder}, channels, {})
        train = None
    parts = {part: inner[name] for part, name in (("train", train), ("holdout", holdout), ("test", test)) if name}
    lacking = f"{folder} has no classes to train on; put images at {folder}/train/CLASS/IMAGE.jpg"
    if train is None and not any(_folders(place) for place in parts.values()):
        raise DataError(lacking)
    unknown = [place for place in inner.values() if place not in parts.values()]
    beside = " and ".join(place.name for place in parts.values())
    left_out = {str(place): f"no part that is known beside {beside}; call it val or test" for place in unknown}
    return _of_classes(folder, parts, channels, left_out, lacking)


def _of_classes(
    folder: Path, parts: Mapping[str, Path], channels: int, left_out: dict[str, str], lacking: str = ""
) -> Tables:
    scanned = {part: _scan(_unwrapped(place), left_out) for part, place in parts.items()}
    return replace(tables(folder.name, scanned, channels, folder, lacking=lacking), left_out=left_out)


def _unwrapped(part: Path) -> Path:
    """Where the classes of a part are: archives often hold train/train/CLASS."""
    inner = _folders(part)
    again = next(iter(inner.values())) if len(inner) == 1 else part
    return _unwrapped(again) if again.name.lower() == part.name.lower() and again != part and _folders(again) else part


def open_csv(path: Path, channels: int) -> Tables:
    """A CSV file whose header names the columns path, label and, if the split is given, split (train, val, test).

    A column `labels` instead of label holds several, separated by semicolons, or none.
    """
    parts: dict[str, list[Entry]] = {}
    kinds, first_row, again = set(), dict[Inode | str, tuple[str, Entry]](), 0
    rows = list(_rows(path))
    told_apart = len(rows) <= MOST_READ  # more files are not looked at one by one
    for part, entry, several in rows:
        kinds.add(several)
        one = os.path.abspath(entry.path)
        before = first_row.setdefault((inode_of(one) if told_apart else None) or one, (part, entry))
        if before[1] is entry:
            parts.setdefault(part, []).append(entry)
        elif (before[0], before[1].label) != (part, entry.label):
            _refuse_twice(path, before, (part, entry))
        else:
            again += 1
    _refuse_other_separators(path, [entry.label for entries in parts.values() for entry in entries], True in kinds)
    lacking = f"{path} lists no training images; add rows, or write train in the column split"
    if not parts:
        raise DataError(lacking)
    first = [entry.path for entries in parts.values() for entry in entries[:10]]
    if not any(os.path.exists(each) for each in first):
        refuse(
            f"{path}: there is no file {first[0]}; write the paths absolute or relative to the folder of the CSV file"
        )
    left_out = {f"{again:,} row{'s' * (again > 1)} of {path}": "each names an image again"} if again else {}
    found = tables(path.stem, parts, channels, path, several=True in kinds, lacking=lacking)
    return replace(found, left_out=left_out)


def _refuse_other_separators(file: Path, labels: list[str], several: bool) -> None:
    """Several labels that are not written as such would be one more class: cat|dog, or cat;dog in a column label."""
    known = set(labels)
    for label in sorted(known):
        if several and label[:1] + label[-1:] in ("[]", "()", "{}"):  # as Python writes lists
            items = [item.strip().strip("'\"") for item in label[1:-1].split(",")]
            refuse(f"{file}: {label!r} looks like a list; write {SEPARATOR.join(items) or 'nothing'}")
            continue
        for mark in "|,/;":
            pieces = [piece.strip() for piece in label.split(mark)]
            if (several and mark == SEPARATOR) or len(pieces) < 2:
                continue
            if known.issuperset(pieces) or (several and mark == "|"):
                remedy = f"write {SEPARATOR.join(pieces)}" + " in a column labels" * (not several)
                refuse(f"{file}: {label!r} looks like {len(pieces)} labels; {remedy}")


def _refuse_twice(file: Path, first: tuple[str, Entry], second: tuple[str, Entry]) -> None:
    """One image in two rows that say different things."""
    (part, one), (other_part, other) = first, second
    if one.label != other.label:
        said, remedy = f"{one.label!r} and {other.label!r}", "keep one row, or name both in a column labels: a;b"
    else:
        said, remedy = f"{part} and {other_part}", "keep one row"
    named = f", also as {other.path}" if os.path.normpath(one.path) != os.path.normpath(other.path) else ""
    refuse(f"{file}: {one.path} is listed twice{named}, with {said}; {remedy}")


def tables(
    name: str,
    parts: Mapping[str, list[Entry]],
    channels: int,
    where: Path,
    several: bool = False,
    lacking: str = "",
) -> Tables:
    """Files by part, as sources; `where` lists them."""

    def labels(entry: Entry) -> list[str]:
        return [one.strip() for one in entry.label.split(SEPARATOR) if one.strip()] if several else [entry.label]

    given = {part: [labels(entry) for entry in entries] for part, entries in parts.items()}
    classes, numbers = numbered(given, str(where))
    sources = {}
    for part, entries in parts.items():
        chosen = np.zeros((len(entries), len(classes)) if several else len(entries), dtype=np.int64)
        for row, each in enumerate(numbers[part]):
            if several:
                chosen[row, each] = 1
            else:
                (chosen[row],) = each
        sources[part] = FileSource([entry.path for entry in entries], chosen, channels)
    by: Identity = "content" if sum(map(len, parts.values())) <= MOST_READ else "name"
    base = where if where.is_dir() else where.parent
    return replace(as_parts(name, classes, channels, sources), by=by, base=base, lacking=lacking)


def numbered(parts: Mapping[str, list[list[str]]], where: str) -> tuple[tuple[str, ...], dict[str, list[list[int]]]]:
    """The class names of the training part, sorted, and their numbers in place of each image's labels.

    Without a training part those of all parts.
    """
    known = [parts["train"]] if "train" in parts else list(parts.values())
    classes = _sorted({label for images in known for labels in images for label in labels})
    number = {label: i for i, label in enumerate(classes)}
    for part, images in parts.items():
        unknown = sorted({label for labels in images for label in labels} - set(number))
        if unknown:
            refuse(
                f"{where}: {part} has {_listed(unknown)}, which train lacks; add training images or remove the class"
            )
            classes = (*classes, *unknown)
            number |= {label: len(number) + i for i, label in enumerate(unknown)}
    return classes, {part: [[number[one] for one in labels] for labels in images] for part, images in parts.items()}


def as_parts(
    name: str,
    classes: tuple[str, ...],
    channels: int,
    sources: Mapping[str, Source],
    left_out: Mapping[str, str] | None = None,
) -> Tables:
    """Without test images the holdout, if any, is the test."""
    test = sources.get("test") or sources.get("holdout")
    holdout = sources.get("holdout") if "test" in sources else None
    return Tables(name, classes, channels, sources.get("train"), holdout, test, dict(left_out or {}))


def _scan(folder: Path, left_out: dict[str, str]) -> list[Entry]:
    """Every image below each class folder, in order of path; what else there is goes to `left_out`.

    Raises `DataError` for a class without images, and for a file that is in two.
    """
    classes = _folders(folder)
    for name in [name for name, place in classes.items() if folder.resolve().is_relative_to(place.resolve())]:
        left_out[str(classes.pop(name))] = CIRCLE
    loose = sum(is_image(path.name) and path.is_file() for path in folder.iterdir() if path.name[0] != ".")
    if not classes:
        seen = "images but no folder" if loose else "no folder"
        raise DataError(f"{folder} has {seen} for each class; put images at {folder}/CLASS/IMAGE.jpg")
    if loose:
        left_out[f"{loose:,} image{'s' * (loose > 1)} in {folder}"] = "in no folder of a class"
    entries: list[Entry] = []
    owner: dict[Inode, Entry] = {}
    empty, skipped = [], Counter[str]()
    for label, place in classes.items():
        found = listed(place)
        for path, inode in zip(found.files, found.inodes, strict=True):
            entry = Entry(path, label)
            first = owner.setdefault(inode, entry)
            if first.label == label:
                entries.append(entry)
            else:
                refuse(f"{path} and {first.path} are one file in two classes; remove one of them")
        skipped += found.skipped
        left_out.update(found.twice())
        if not found.files:
            empty.append(label)
    told = unread(skipped)
    if empty:
        refuse(
            f"{folder}: class folder {_listed(empty)} holds no images; add some or remove the folder"
            + "".join(f"; {what}: {why}" for what, why in told.items())
        )
    left_out |= {f"{folder}: {what}": why for what, why in told.items()}
    return entries


def _rows(path: Path) -> Iterator[tuple[str, Entry, bool]]:
    """(part, entry, whether an image may have several labels) for each row of the CSV file."""
    given = ImageList(path)
    at, label, split = given.find(PATH), given.find(LABEL), given.find(SPLIT)
    several = label is None
    label = label or given.find(SEVERAL)
    if at is None or label is None:
        raise given.lacks("path and label, or path and labels,")
    for line in given:
        if not line.get(at) or not (line.get(label) or several):
            refuse(f"{line.where}: path or label is empty; fill it in or remove it")
            continue
        part = _part(line.get(split) if split else None, line.where)
        yield part, Entry(os.path.join(path.parent, line.get(at)), line.get(label)), several


def _part(word: str | None, where: str) -> str:
    for part, names in PARTS.items():
        if word is None or word.strip().lower() in names:
            return part
    refuse(f"{where}: split {word!r} is unknown; write train, val or test")
    return "train"


def _folders(folder: Path) -> dict[str, Path]:
    try:
        found = {p.name: p for p in sorted(folder.iterdir()) if p.is_dir() and not p.name.startswith((".", "__"))}
    except OSError as error:
        raise DataError(f"cannot read {folder}: {error.strerror}; check its permissions") from None
    for name in found:
        if os.fsencode(name).decode("utf-8", "replace") != name:  # images may be called anything, classes are written
            raise DataError(f"{folder} has a class folder {os.fsencode(name)!r}, which is no text in UTF-8; rename it")
    return found


def _first(folders: Mapping[str, Path], lower: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    """The folder that is called by the first of `names`; case only matters where two differ in nothing else."""
    return next((name if name in folders else lower[name] for name in names if name in lower), None)


def _sorted(labels: set[str]) -> tuple[str, ...]:
    """Alphabetical, or by value where all are numbers, so that class 10 comes after class 9."""
    numeric = all(label.isdecimal() and len(label) <= DIGITS for label in labels)
    return tuple(sorted(labels, key=(lambda label: (int(label), label)) if numeric else None))


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
