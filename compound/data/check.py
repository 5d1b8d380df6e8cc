"""A data set looked through before it is trained on: counts, imbalance, sizes, damaged files, duplicates."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.transforms.v2 import functional as F

from compound.data.decode import to_channels
from compound.data.errors import DamagedImage
from compound.data.oddities import oddities_of
from compound.data.open import DataSet
from compound.data.source import Source
from compound.data.twins import Hashed, copies, duplicates, repeats

PARTS = ("train", "holdout", "test")
SAMPLE = 20_000  # images of a part that are hashed and measured; larger parts are sampled evenly


@dataclass(frozen=True)
class PartFindings:
    """One part of a data set. `hashes` (n,) and `thumbnails` (n, 256) of the images at `positions` (n,); flat ones are
    left out.
    """

    images: int
    counts: dict[str, int]
    sizes: Counter[tuple[int, int]]
    damaged: list[tuple[str, str]]
    hashes: NDArray[np.uint64]
    positions: NDArray[np.int64]
    thumbnails: NDArray[np.int16]
    seen: int
    grey: int
    odd: Counter[str]

    @property
    def hashed(self) -> Hashed:
        return self.hashes, self.positions, self.thumbnails

    @property
    def imbalance(self) -> float:
        """The largest class over the smallest; infinite where a class has no image."""
        smallest = min(self.counts.values())
        return max(self.counts.values()) / smallest if smallest else float("inf")

    def summary(self) -> dict[str, Any]:
        """The figures as plain values; sizes are the smallest, the median and the largest side in px."""
        sides = sorted(side for size, n in self.sizes.items() for side in size for _ in range(n))
        named = {"smallest": sides[0], "median": sides[len(sides) // 2], "largest": sides[-1]} if sides else {}
        return {
            "images": self.images,
            "looked_at": self.seen,
            "per_class": self.counts,
            "imbalance": self.imbalance,
            "sides": named,
            "grey_in_colour": self.grey,
            "odd": dict(self.odd),
            "damaged": [{"path": path, "reason": reason} for path, reason in self.damaged],
        }


def dhash(image: torch.Tensor) -> int | None:
    """64 bits of uint8 (C, H, W): whether each of 8×8 places of the grey image, shrunk, is brighter than the next.

    None for an image without any difference, which would equal all others of the kind.
    """
    small = F.resize(to_channels(image, 1), [8, 9], antialias=True)[0].to(torch.int16)
    bits = (small[:, 1:] > small[:, :-1]).flatten().numpy()
    if int(small.max()) - int(small.min()) < 8:
        return None
    return int(np.packbits(bits).view(">u8")[0])


def look_through(source: Source, classes: tuple[str, ...]) -> PartFindings:
    """Counts of all images; sizes, damage and hashes of up to `SAMPLE` of them."""
    chosen = np.unique(np.linspace(0, len(source) - 1, min(len(source), SAMPLE)).astype(np.int64))
    sizes: Counter[tuple[int, int]] = Counter()
    odd: Counter[str] = Counter()
    damaged, hashed, grey = [], [], 0
    for index in map(int, chosen):
        try:
            image = source.load(index)
        except DamagedImage as error:
            damaged.append((error.path, error.reason))
            continue
        odd.update(oddities_of(source, index))
        sizes[(int(image.shape[-2]), int(image.shape[-1]))] += 1
        grey += int(image.shape[0] == 3 and bool((image[:1] == image).all()))
        code = dhash(image) if image.shape[0] in (1, 3) else None
        if code is not None:
            small = F.resize(to_channels(image, 1), [16, 16], antialias=True)
            hashed.append((code, index, small.flatten().to(torch.int16).numpy()))
    counted = source.labels.sum(0) if source.labels.ndim == 2 else np.bincount(source.labels, minlength=len(classes))
    counts = counted.tolist()
    return PartFindings(
        len(source),
        dict(zip(classes, counts, strict=True)),
        sizes,
        damaged,
        np.array([code for code, _, _ in hashed], dtype=np.uint64),
        np.array([index for _, index, _ in hashed], dtype=np.int64),
        np.array([small for _, _, small in hashed], dtype=np.int16).reshape(-1, 256),
        len(chosen),
        grey,
        odd,
    )


def check(data: DataSet) -> dict[str, Any]:
    """Everything about `data` as plain values: its parts, and pairs of paths that look the same.

    `duplicates`: pairs in two parts. `within`: pairs in one part; those under two labels come first in each list.
    """
    sources = {name: getattr(data, name) for name in PARTS}
    parts = {name: look_through(source, data.classes) for name, source in sources.items()}
    twins: list[dict[str, Any]] = []
    for one, two in (("train", "holdout"), ("train", "test"), ("holdout", "test")):
        found = duplicates(parts[one].hashed, parts[two].hashed)
        twins += [_pair(data, (one, two), each) for each in found]
    within: list[dict[str, Any]] = []
    for name in PARTS:
        exact = copies(sources[name]) if data.spec.by == "content" else []
        within += [_pair(data, (name, name), each) for each in sorted({*exact, *repeats(parts[name].hashed)})]
    return {
        "name": data.name,
        "classes": list(data.classes),
        "channels": data.channels,
        "parts": {name: part.summary() for name, part in parts.items()},
        "duplicates": sorted(twins, key=lambda pair: pair["same_class"]),
        "within": sorted(within, key=lambda pair: pair["same_class"]),
        "left_out": dict(data.left_out),
    }


def _pair(data: DataSet, parts: tuple[str, str], positions: tuple[int, int]) -> dict[str, Any]:
    """Two images that look the same, by path, with their classes."""
    (first, second), (a, b) = (getattr(data, name) for name in parts), positions
    return {
        "parts": list(parts),
        "first": first.path(a),
        "second": second.path(b),
        "labels": [_named(data, first, a), _named(data, second, b)],
        "same_class": bool(np.array_equal(first.labels[a], second.labels[b])),
    }


def _named(data: DataSet, source: Source, index: int) -> str:
    """The class of an image, or its classes."""
    label = source.labels[index]
    return "; ".join(data.classes[i] for i in (np.flatnonzero(label) if np.ndim(label) else [label]))
