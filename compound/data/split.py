"""Dividing images so that every class is represented: seeded, the same on every machine."""

import numpy as np

from compound.data.chance import Purpose, hashes
from compound.data.errors import DataError
from compound.data.source import Labels


def stratified(labels: Labels, share: float, seed: int) -> tuple[Labels, Labels]:
    """Positions (kept, taken), each ascending: about `share` of every class is taken, or from 1 on `share` in all.

    Of a class with two images or more at least one is kept, and of a share above 0 at least one taken; 0 takes none.
    """
    labels = rarest(labels) if labels.ndim == 2 else labels
    taken = np.zeros(len(labels), dtype=bool)
    order = np.argsort(hashes(seed, 0, np.arange(len(labels)), Purpose.SPLIT), kind="stable")
    _, sizes = np.unique(labels, return_counts=True)
    members = order[np.argsort(labels[order], kind="stable")]  # class by class
    for start, count in zip(np.cumsum(sizes) - sizes, _counts(sizes, share), strict=True):
        taken[members[start : start + count]] = True
    return np.flatnonzero(~taken), np.flatnonzero(taken)


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
