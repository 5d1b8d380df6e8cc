"""What a second of looking says of a data set, in one line; `compound.data.check` takes its time."""

import shlex
import time
from collections import Counter

import numpy as np

from compound.data.errors import DamagedImage
from compound.data.oddities import oddities_of, oddities_text
from compound.data.open import DataSet
from compound.data.twins import copies

SECONDS = 1.0
UNEQUAL = 10.0  # times as many images in the largest class as in the smallest, from where it is said


def glance(data: DataSet, seconds: float = SECONDS) -> str:
    """How many images of `data` were looked at, their sizes, and what is wrong with them; one image at least."""
    source, started = data.train, time.perf_counter()
    sides: list[int] = []
    odd: Counter[str] = Counter()
    looked = damaged = 0
    # Spread over all of them, for files of one folder are often of one make.
    for index in np.random.default_rng(0).permutation(len(source)).tolist():
        if looked and time.perf_counter() - started > seconds:
            break
        looked += 1
        try:
            sides += source.load(index).shape[-2:]
        except DamagedImage:
            damaged += 1
        else:
            odd.update(oddities_of(source, index))
    said = [f"{damaged:,} unreadable"] if damaged else []
    said += [*oddities_text(odd), *(one for one in (_torn(data), _unequal(data)) if one)]
    sizes = f", sides {sides_text(min(sides), max(sides))} px" if sides else ""
    return f"{looked:,} of {len(source):,} training images looked at{sizes}: " + (
        f"{', '.join(said)}; see compound data check {shlex.quote(data.spec.where)}" if said else "nothing unusual"
    )


def sides_text(smallest: int, largest: int) -> str:
    return f"{smallest:,}" if smallest == largest else f"{smallest:,} to {largest:,}"


def _torn(data: DataSet) -> str:
    """Training images with the same content and other labels; where content is not what tells images apart, none."""
    if data.spec.by != "content":
        return ""
    labels = data.train.labels
    torn = sum(not np.array_equal(labels[a], labels[b]) for a, b in copies(data.train))
    return f"{torn:,} under two labels" if torn else ""


def _unequal(data: DataSet) -> str:
    labels = data.train.labels
    counts = labels.sum(0) if labels.ndim == 2 else np.bincount(labels, minlength=len(data.classes))
    few, many = int(counts.min()), int(counts.max())
    return f"classes of {few:,} to {many:,} images" if many > UNEQUAL * max(few, 1) else ""
