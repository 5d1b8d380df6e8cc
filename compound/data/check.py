"""A data set looked through before it is trained on: counts, imbalance, sizes, damaged files, duplicates."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.transforms.v2 import functional as F

from compound.data.decode import to_channels
from compound.data.errors import DamagedImage
from compound.data.open import DataSet
from compound.data.source import Source
from compound.files import write_with

ALIKE = 2  # bits of 64 that may differ: the same picture at another size or compression
CLOSE = 4  # of 255: the mean difference of the 16×16 grey images; small pictures of one kind share hashes
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
    damaged, hashed, grey = [], [], 0
    for index in map(int, chosen):
        try:
            image = source.load(index)
        except DamagedImage as error:
            damaged.append((error.path, error.reason))
            continue
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
    )


def duplicates(part: PartFindings, other: PartFindings) -> list[tuple[int, int]]:
    """Positions (in `part`, in `other`) of images that look the same: by `ALIKE` and by `CLOSE`."""
    pairs = []
    for start in range(0, len(part.hashes), 512):
        chunk = part.hashes[start : start + 512]
        differing = np.bitwise_count(chunk[:, None] ^ other.hashes[None, :])
        rows, columns = np.nonzero(differing <= ALIKE)
        away = np.abs(part.thumbnails[start + rows] - other.thumbnails[columns]).mean(1)
        rows, columns = rows[away <= CLOSE], columns[away <= CLOSE]
        pairs += [(int(part.positions[start + r]), int(other.positions[c])) for r, c in zip(rows, columns, strict=True)]
    return pairs


def check(data: DataSet) -> dict[str, Any]:
    """Everything about `data` as plain values: its parts, and pairs of paths that look the same in two parts."""
    sources = {name: getattr(data, name) for name in ("train", "holdout", "test")}
    parts = {name: look_through(source, data.classes) for name, source in sources.items()}
    twins = []
    for first, second in (("train", "holdout"), ("train", "test"), ("holdout", "test")):
        for a, b in duplicates(parts[first], parts[second]):
            same = bool(np.array_equal(sources[first].labels[a], sources[second].labels[b]))
            pair = {"first": sources[first].path(a), "second": sources[second].path(b), "same_class": same}
            twins.append({"parts": [first, second]} | pair)
    return {
        "name": data.name,
        "classes": list(data.classes),
        "channels": data.channels,
        "parts": {name: part.summary() for name, part in parts.items()},
        "duplicates": twins,
        "left_out": dict(data.left_out),
    }


def write_contact_sheet(data: DataSet, path: Path) -> Path:
    """`contact_sheet` as a PNG file."""
    picture = F.to_pil_image(contact_sheet(data))
    return write_with(path, lambda temporary: picture.save(temporary, format="PNG"))


def contact_sheet(data: DataSet, *, columns: int = 8, side: int = 64) -> torch.Tensor:
    """uint8 (3, H, W): a row of training images for each of up to 40 classes, each fitted into a square of `side`."""
    rows = []
    for number in range(min(len(data.classes), 40)):
        tiles: list[torch.Tensor] = []
        labels = data.train.labels
        there = labels[:, number] > 0 if labels.ndim == 2 else labels == number
        for index in np.flatnonzero(there).tolist():
            if len(tiles) == columns:
                break
            try:
                tiles.append(_tile(data.train.load(index), side))
            except DamagedImage:
                continue
        tiles += [torch.full((3, side, side), 255, dtype=torch.uint8)] * (columns - len(tiles))
        rows.append(torch.cat(tiles, dim=2))
    return torch.cat(rows, dim=1)


def _tile(image: torch.Tensor, side: int) -> torch.Tensor:
    height, width = image.shape[-2:]
    size = [max(round(each * side / max(height, width)), 1) for each in (height, width)]
    small = F.resize(to_channels(image, 3), size, antialias=True)
    tile = torch.full((3, side, side), 255, dtype=torch.uint8)
    top, left = (side - size[0]) // 2, (side - size[1]) // 2
    tile[:, top : top + size[0], left : left + size[1]] = small
    return tile
