"""What an image is, whatever it is called and wherever it stands: 64 bits of its bytes, or of its name within the set.

Splits, fingerprints and the memory of a run are made of these, so that files which come, go or are renamed move no
other image from one part to another. Of 1.3 million images two share 64 bits by chance once in 20 million sets.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from stat import S_ISREG
from typing import Literal

import numpy as np

from compound.data.chance import Hashes
from compound.documents import FORMULA

Identity = Literal["content", "name", "position"]
"""What tells the images of a set apart: their bytes, their names within it, or their places in an array's file."""

MOST_READ = 200_000  # files of a set that are read to be told apart; more are told apart by name
WHOLE = 2**15  # bytes up to which a file is read whole; of a larger one that is compressed its size and pieces
BARE = 2**26  # bytes up to which one that is not compressed is read whole
# How compressed pictures begin, and what others have at their fifth byte. A pixel of these changes what follows it,
# or the checksum at the end; in BMP, PPM and TIFF it changes its own bytes and no other.
PACKED, PACKED_INSIDE = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"RIFF"), b"ftyp"
BEGINNING = 16  # bytes by which one is told
PIECES, PIECE = 8, 2**12


def of_bytes(parts: Iterable[bytes | memoryview]) -> int:
    """64 bits of these bytes, one after the other."""
    digest = blake2b(digest_size=8)
    for part in parts:
        digest.update(part)
    return int.from_bytes(digest.digest(), "little")


def of_names(names: Sequence[str]) -> Hashes:
    """(n,) of names."""
    return np.array([_of_name(name) for name in names], dtype=np.uint64)


def _of_name(name: str) -> int:
    return of_bytes([name.encode("utf-8", "surrogateescape")])


def of_files(paths: Sequence[str]) -> Hashes:
    """(n,) of what files hold; of one that cannot be read, of its path. 60,000 of 3 kB take a second of a core."""
    return np.array([_of_file(path) for path in paths], dtype=np.uint64)


def of_content(data: bytes) -> int:
    """Of a file that holds `data`."""
    size = len(data)
    parts = [size.to_bytes(8, "little")]
    if _counts_whole(size, data[:BEGINNING]):
        return of_bytes([*parts, data])
    return of_bytes([*parts, *(data[start : start + PIECE] for start in _pieces(size))])


def _pieces(size: int) -> list[int]:
    """Where those start of a file that is not read whole: pixels are compressed, so that they tell images apart too."""
    return [(size - PIECE) * i // (PIECES - 1) for i in range(PIECES)]


def stamp(path: str) -> str:
    """Size, time of change and inode of a file: another one, or one written again, has another stamp."""
    try:
        told = os.stat(path)
    except (OSError, ValueError) as error:
        return type(error).__name__
    return f"{told.st_size} {told.st_mtime_ns} {told.st_ino}"


def _of_file(path: str) -> int:
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # else opening a pipe waits for its writer
    except (OSError, ValueError):
        return _of_name(path)
    try:
        told = os.fstat(file)
        if not S_ISREG(told.st_mode):
            return _of_name(path)
        size = told.st_size
        parts = [size.to_bytes(8, "little")]
        if _counts_whole(size, os.pread(file, BEGINNING, 0)):
            parts.append(os.read(file, size))
        else:
            parts += [os.pread(file, PIECE, start) for start in _pieces(size)]
        return of_bytes(parts)
    except OSError:
        return _of_name(path)
    finally:
        os.close(file)


def _counts_whole(size: int, first: bytes) -> bool:
    """Whether all bytes of a file that begins with `first` are what it is known by."""
    compressed = first.startswith(PACKED) or first[4:8] == PACKED_INSIDE
    return size <= (WHOLE if compressed else BARE)


def names_within(where: str) -> Callable[[str], str]:
    """Names a path within the folder of the data at `where`, or of its CSV file, as lists of images have it."""
    place = os.path.abspath(os.path.expanduser(where))
    bases = [base + os.sep for base in (place, os.path.dirname(place))]

    def within(path: str) -> str:
        name = next((path[len(base) :] for base in bases if path.startswith(base)), path)
        return f"./{name}" if name.startswith(FORMULA) else name  # the same path, and no formula to a spreadsheet

    return within
