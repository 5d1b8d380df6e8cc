"""Which files below a folder are its images: one listing for every verb, each file once, the others counted."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from PIL import features

AVIF = (".avif",) if features.check("avif") else ()
SUFFIXES = (
    ".jpg", ".jpeg", ".jfif", ".jpe", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", *AVIF,
)  # fmt: skip
CIRCLE = "a folder that is listed elsewhere, or that it is within"
UNREAD = "no image format that is read"
HEIF = f"{UNREAD}; the package pillow-heif turns it into JPEG or PNG"
REASONS = {".heic": HEIF, ".heif": HEIF, ".avif": f"{UNREAD} by this Pillow; take 11.3 or newer"}

Inode = tuple[int, int]  # device and number: what a folder or file is, whatever leads to it


@dataclass
class Listing:
    """`files` in order of path; `skipped` counts other files by ending, `circles` are links that lead back, and
    `again` counts other names of listed files.

    `inodes` has which file each is, so that one that is listed twice is known.
    """

    folder: str = ""
    files: list[str] = field(default_factory=list)
    inodes: list[Inode] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    circles: list[str] = field(default_factory=list)
    again: int = 0

    def left_out(self) -> dict[str, str]:
        """What is not used, and why."""
        return unread(self.skipped) | self.twice()

    def twice(self) -> dict[str, str]:
        """What leads to files that are listed already."""
        told = dict.fromkeys(self.circles, CIRCLE)
        if self.again:
            told[f"{self.again:,} other name{'s' * (self.again > 1)} of files below {self.folder}"] = (
                "a file counts once"
            )
        return told


def unread(skipped: Counter[str]) -> dict[str, str]:
    """What is said of files that are no images we read, by ending."""
    called = {ending: f"ending in {ending}" if ending else "without an ending" for ending in skipped}
    return {
        f"{files:,} file{'s' * (files > 1)} {called[ending]}": REASONS.get(ending, UNREAD)
        for ending, files in sorted(skipped.items())
    }


def is_image(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


def listed(folder: str | os.PathLike[str]) -> Listing:
    """All images below `folder`, through links. Hidden files and folders are passed over.

    A folder is entered once, and none that `folder` itself is within: by device and inode, so that links in a circle
    end. A folder that cannot be read has no images.
    """
    place, found = os.fspath(folder), Listing(os.fspath(folder))
    above, entered = os.path.realpath(place), set()
    while above != (above := os.path.dirname(above)):
        entered.add(inode_of(above))
    pairs = sorted(_below(place, found, entered))
    names: set[Inode] = set()
    for path, inode in pairs:
        if inode in names:
            found.again += 1
        else:
            names.add(inode)
            found.files.append(path)
            found.inodes.append(inode)
    found.circles.sort()
    return found


def _below(place: str, found: Listing, entered: set[Inode | None]) -> Iterator[tuple[str, Inode]]:
    waiting, number = [place], count()
    while waiting:
        folder = waiting.pop()
        inode = inode_of(folder)
        if inode is None:
            continue
        if inode in entered:
            found.circles.append(folder)
            continue
        entered.add(inode)
        inner: list[str] = []
        links: list[str] = []
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir():
                (links if entry.is_symlink() else inner).append(entry.path)
            elif is_image(entry.name):
                known = inode_of(entry.path) if entry.is_symlink() else (inode[0], entry.inode())
                yield entry.path, known or (-1, next(number))
            else:
                found.skipped[os.path.splitext(entry.name)[1].lower()] += 1
        waiting += links[::-1] + inner[::-1]  # links last: what is there by itself has its own path


def inode_of(path: str) -> Inode | None:
    try:
        told = os.stat(path)
    except OSError:
        return None
    return told.st_dev, told.st_ino
