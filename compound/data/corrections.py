"""Labels that were found wrong and images that belong to no class: lists that data is opened with.

Nothing is changed on disk. A row names an image by `identity` (16 hex digits, see `compound.data.identity`) or, where
that is empty, by `path`, as an audit or `compound data check` names it; `label` is the class it shall have.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compound.data.errors import DataError
from compound.data.lists import IDENTITY, LABEL, PATH, ImageList, ListLine
from compound.data.source import Labels, Source, subset

RELABEL = ("path", "identity", "label")


@dataclass(frozen=True)
class ListedImage:
    """One image of a list: its `line` there, and what it shall be labelled."""

    line: int
    path: str
    identity: int | None
    label: str


def read_list(path: Path, label: bool) -> list[ListedImage]:
    """The rows of a list, with labels where `label`. Raises `DataError` for what names no image, or one twice."""
    found, seen = [], dict[tuple[str, int | None], int]()
    given = ImageList(path)
    at, identity, shall = given.find(PATH), given.find(IDENTITY), given.find(LABEL)
    if (at is None and identity is None) or (label and shall is None):
        raise given.lacks("path or identity, and label" if label else "path or identity")
    for line in given:
        named = _named(line, line.get(at).strip(), line.get(identity).strip(), line.get(shall).strip(), label)
        key = (named.path if named.identity is None else "", named.identity)
        if key in seen and label:
            raise DataError(f"{line.where} names the image of line {seen[key]} again; keep one")
        seen[key] = named.line
        found.append(named)
    return found


def _named(line: ListLine, path: str, identity: str, shall: str, label: bool) -> ListedImage:
    if not path and not identity:
        raise DataError(f"{line.where} names no image; fill in path or identity, or remove the line")
    if label and not shall:
        raise DataError(f"{line.where}: label is empty; fill it in or remove the line")
    try:
        number = int(identity, 16) if identity else None
    except ValueError:
        number = -1
    if number is not None and not (0 <= number < 2**64 and len(identity) == 16):
        raise DataError(
            f"{line.where}: identity {identity[:40]!r} is no 16 hex digits; copy it from the audit, or leave it out"
        )
    return ListedImage(line.number, path, number, shall)


class Corrections:
    """What is to be done to the images of a data set; counts what was, so that nobody is left in doubt."""

    def __init__(self, classes: tuple[str, ...], relabel: Path | None, drop: Path | None) -> None:
        self.classes = classes
        self.relabel = {_key(one): one for one in (read_list(relabel, True) if relabel else [])}
        self.drop = {_key(one): one for one in (read_list(drop, False) if drop else [])}
        unknown = next((one for one in self.relabel.values() if one.label not in classes), None)
        if unknown is not None:
            raise DataError(
                f"{relabel} line {unknown.line}: {unknown.label!r} is no class; use one of {', '.join(classes[:10])}"
            )
        self.used: set[int | str] = set()

    def applied(self, source: Source, name: Callable[[str], str]) -> Source:
        """`source` with its labels set right and without what is dropped; `name` shortens paths to those of lists."""
        labels: Labels = source.labels.copy()
        numbers = {label: number for number, label in enumerate(self.classes)}
        kept = np.ones(len(source), dtype=bool)
        for position, keys in enumerate(_keys(source, name)):
            for key in keys & self.relabel.keys():
                labels[position] = numbers[self.relabel[key].label]
            kept[position] = not keys & self.drop.keys()
            self.used |= keys & (self.relabel.keys() | self.drop.keys())
        return subset(source.labelled(labels), np.flatnonzero(kept))

    def told(self, test: Source, name: Callable[[str], str]) -> list[str]:
        """What was not done, in sentences."""
        left = (self.relabel.keys() | self.drop.keys()) - self.used
        tested = {key for keys in _keys(test, name) for key in keys & left} if left else set()
        said = [f"{len(tested):,} of the listed images are test images, which stay as they are"] if tested else []
        unknown = len(left - tested)
        return said + ([f"{unknown:,} of the listed images are not there"] if unknown else [])


def _keys(source: Source, name: Callable[[str], str]) -> Iterator[set[int | str]]:
    """What each image may be listed as."""
    for position, identity in enumerate(source.identities().tolist()):
        yield {identity, source.path(position), name(source.path(position))}


def _key(one: ListedImage) -> int | str:
    return one.path if one.identity is None else one.identity
