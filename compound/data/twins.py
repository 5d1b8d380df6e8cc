"""Pictures that look the same: copies, and the same at another size or compression."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from compound.data.source import Source

ALIKE = 2  # bits of 64 that may differ: the same picture at another size or compression
CLOSE = 4  # of 255: the mean difference of the 16×16 grey images; small pictures of one kind share hashes
ROWS, AT_ONCE = 512, 100_000  # hashes, and pairs, that are compared together
MOST_PAIRS = 10_000  # of two parts that are told

Hashed = tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int16]]
"""Of n images: hashes (n,), positions (n,), thumbnails (n, 256)."""


def duplicates(part: Hashed, other: Hashed) -> list[tuple[int, int]]:
    """Positions (in `part`, in `other`) of images that look the same: `ALIKE` and `CLOSE`; at most `MOST_PAIRS`."""
    return list(_found(part, other, within=False))


def repeats(part: Hashed) -> list[tuple[int, int]]:
    """Positions of two images of one part that look the same, the first first; at most `MOST_PAIRS`."""
    return list(_found(part, part, within=True))


def copies(source: Source) -> list[tuple[int, int]]:
    """Positions of images and of the first with the same content; at most `MOST_PAIRS`."""
    identities = source.identities()
    _, first, number = np.unique(identities, return_index=True, return_inverse=True)
    other = np.flatnonzero(first[number] != np.arange(len(identities)))[:MOST_PAIRS]
    return list(zip(first[number[other]].tolist(), other.tolist(), strict=True))


def _found(part: Hashed, other: Hashed, within: bool) -> Iterator[tuple[int, int]]:
    hashes, positions, thumbnails = part
    others, other_positions, other_thumbnails = other
    count = 0
    for start in range(0, len(hashes), ROWS):
        differing = np.bitwise_count(hashes[start : start + ROWS, None] ^ others[None, :])
        rows, columns = np.nonzero(differing <= ALIKE)
        rows += start
        if within:
            rows, columns = rows[rows < columns], columns[rows < columns]
        for at in range(0, len(rows), AT_ONCE):
            some, their = rows[at : at + AT_ONCE], columns[at : at + AT_ONCE]
            near = np.abs(thumbnails[some] - other_thumbnails[their]).mean(1) <= CLOSE
            for row, column in zip(some[near].tolist(), their[near].tolist(), strict=True):
                if count == MOST_PAIRS:
                    return
                count += 1
                yield int(positions[row]), int(other_positions[column])
