"""Dividing images so that every class is represented: seeded, the same on every machine."""

import numpy as np

from compound.data.chance import Purpose, hashes
from compound.data.source import Labels


def stratified(labels: Labels, share: float, seed: int) -> tuple[Labels, Labels]:
    """Positions (kept, taken), each ascending: about `share` of every class is taken.

    Of a class with two images or more at least one is taken and at least one kept; a share of 0 takes none.
    """
    taken = np.zeros(len(labels), dtype=bool)
    order = np.argsort(hashes(seed, 0, np.arange(len(labels)), Purpose.SPLIT), kind="stable")
    for label in np.unique(labels) if share else ():
        members = order[labels[order] == label]
        count = min(max(round(len(members) * share), 1), len(members) - 1)
        taken[members[:count]] = True
    return np.flatnonzero(~taken), np.flatnonzero(taken)
