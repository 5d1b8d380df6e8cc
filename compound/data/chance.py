"""Randomness without state: each number is a function of (seed, epoch, image index, purpose) and of nothing else.

So an image is augmented alike whatever the number of workers, the batch it falls into, the process that loads it, or
the point at which a run was resumed.
"""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Hashes = NDArray[np.uint64]


class Purpose(IntEnum):
    """What a number is drawn for; two purposes never share numbers. Values are part of every run: never renumber."""

    ORDER = 0
    SPLIT = 1
    CROP = 2
    SHIFT = 3
    FLIP = 4
    ERASE = 5
    POLICY = 6
    SIZE = 7


def hashes(seed: int, epoch: int | Integers, indices: Integers, purpose: Purpose) -> Hashes:
    """A 64-bit hash for each of `indices` (N,); `epoch` is one number or one an index."""
    state = _mix(_uint64(seed))
    for word in (int(purpose), epoch, indices):
        state = _mix(state ^ _mix(_uint64(word) + np.uint64(0xD1B54A32D192ED03)))
    return np.broadcast_to(state, np.shape(indices))


def uniforms(
    seed: int, epoch: int | Integers, indices: Integers, purpose: Purpose, count: int = 1
) -> NDArray[np.float64]:
    """`count` uniform numbers in [0, 1) for each of `indices` (N,), as (N, count)."""
    state = hashes(seed, epoch, indices, purpose)[:, None]
    steps = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return (_mix(state + steps) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _uint64(value: int | Integers) -> Hashes:
    # Always an array: numpy wraps array arithmetic silently, as a hash wants, but warns for scalars.
    return np.atleast_1d(np.asarray(value, dtype=np.int64)).astype(np.uint64)


def _mix(state: Hashes) -> Hashes:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014, Fig. 15, with Stafford's constants, variant 13)."""
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
