"""Dividing images so that every class is represented: seeded, the same on every machine."""

import numpy as np
from numpy.typing import NDArray

from compound.data.chance import Hashes, Purpose, hashes
from compound.data.errors import DataError
from compound.data.source import Labels


def stratified(labels: Labels, share: float, seed: int) -> tuple[Labels, Labels]:
    """Positions (kept, taken), each ascending: about `share` of every class is taken, or from 1 on `share` in all.

    Of a class with two images or more at least one is kept, and of a share above 0 at least one taken; 0 takes none.
    Chosen by position, which is for images that keep theirs.
    """
    labels = rarest(labels) if labels.ndim == 2 else labels
    taken = np.zeros(len(labels), dtype=bool)
    order = np.argsort(hashes(seed, 0, np.arange(len(labels)), Purpose.SPLIT), kind="stable")
    _, sizes = np.unique(labels, return_counts=True)
    members = order[np.argsort(labels[order], kind="stable")]  # class by class
    for start, count in zip(np.cumsum(sizes) - sizes, _counts(sizes, share), strict=True):
        taken[members[start : start + count]] = True
    return np.flatnonzero(~taken), np.flatnonzero(taken)


def by_identity(labels: Labels, identities: Hashes, share: float, seed: int) -> tuple[Labels, Labels]:
    """As `stratified`, chosen by `identities` (n,): each image by its own, so that others may come and go.

    A share is taken where an identity's hash is below it: of a class of n about share × n, give or take
    √(n × share × (1 − share)). Where that leaves a class without one, the image nearest to the other side changes it.
    A number is taken exactly, in the order of the hashes, so that images which come may push one out. Images of one
    identity are never divided.
    """
    labels = rarest(labels) if labels.ndim == 2 else labels
    known, number = np.unique(identities, return_inverse=True)
    chance = hashes(seed, 0, known.view(np.int64), Purpose.SPLIT).astype(np.float64) * 2.0**-64
    groups = [np.unique(number[members]) for members in _alike(labels)]
    if share >= 1:
        taken = _exactly(labels, number, np.argsort(chance, kind="stable"), int(share))
    else:
        taken = chance < share
        for group in groups if share else []:
            if not taken[group].any():
                taken[group[chance[group].argmin()]] = True
    for group in groups:
        if taken[group].all():
            taken[group[chance[group].argmax()]] = False
    return np.flatnonzero(~taken[number]), np.flatnonzero(taken[number])


def _exactly(labels: Labels, number: Labels, order: Labels, wanted: int) -> NDArray[np.bool_]:
    """Which identities are taken so that `wanted` images are, of each class its share; `number` has those of images."""
    _, label, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    left, class_of = _counts(sizes, wanted).tolist(), label.tolist()
    taken = np.zeros(len(order), dtype=bool)
    members = _alike(number)
    for one in order.tolist():
        classes = [class_of[i] for i in members[one].tolist()]
        if all(left[c] >= classes.count(c) for c in classes):
            taken[one] = True
            for c in classes:
                left[c] -= 1
    return taken


def _alike(values: Labels) -> list[Labels]:
    """The positions of each value, the smallest first."""
    _, counts = np.unique(values, return_counts=True)
    positions: list[Labels] = np.split(np.argsort(values, kind="stable"), np.cumsum(counts)[:-1])
    return positions


def rarest(labels: Labels) -> Labels:
    """Of each image's labels (n, K) the class that fewest images have, (n,); K where it has none."""
    order = np.argsort(labels.sum(0), kind="stable")
    first = labels[:, order].argmax(1)
    found: Labels = np.where(labels.any(1), order[first], labels.shape[1])
    return found


def _counts(sizes: Labels, share: float) -> Labels:
    """How many of each class are taken."""
    if share < 1:
        wanted = [round(size * share) for size in sizes.tolist()]
        clipped: Labels = np.clip(wanted, int(share > 0), np.maximum(sizes - 1, 0))
        return clipped
    if share > (sizes - 1).sum():
        raise DataError(
            f"holdout {share:g} leaves not one image of each class to train; {sizes.sum():,} images of {len(sizes)} "
            f"classes allow {(sizes - 1).sum():,}"
        )
    # The largest remainders get what rounding down leaves; a class that would be used up gives to the others.
    exact = sizes * (share / sizes.sum())
    counts: Labels = np.minimum(np.floor(exact).astype(np.int64), sizes - 1)
    for label in np.argsort(counts - exact, kind="stable").tolist() * int(sizes.max()):
        if counts.sum() == share:
            break
        counts[label] += counts[label] < sizes[label] - 1
    return counts
