"""Writing a cache: pixels decoded once into shards; see `compound.data.cache`."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

from compound.bounds import check_sides
from compound.data.cache import FORMAT, INDEX, read_index
from compound.data.errors import DamagedImage
from compound.data.source import Source
from compound.data.tables import Tables
from compound.errors import UsageError
from compound.files import clear_leftovers, locked, make_folder, sha256, write_json, write_with

SHARD = 2**28  # bytes of pixels after which a new shard begins
PARTS = ("train", "holdout", "test")
BEGUN = "begun.json"
SAME = ("format", "name", "channels", "size")  # what makes it the same cache, whatever came to its data since


def write_cache(
    tables: Tables, folder: str | Path, size: int = 256, say: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Write `tables` into `folder`, images scaled down to a short side of `size` px; smaller ones stay as they are.

    What is there already, from a run that was stopped or of data that changed since, is kept where it is whole and of
    the images as they are now. Returns what `cache.json` says.
    """
    if size < 1:
        raise UsageError(f"size {size} is less than one pixel; use e.g. 256")
    check_sides("size", [size])
    tables.to_train()  # raises where there is nothing
    folder = make_folder(folder)
    head = {"format": FORMAT, "name": tables.name, "classes": list(tables.classes), "channels": tables.channels}
    head |= {"size": size, "by": tables.by}
    with locked(folder / ".lock", f"the cache {folder}"):
        clear_leftovers(folder)
        before = read_index(folder / BEGUN) if (folder / BEGUN).exists() else None
        if before is None and any(path.name != ".lock" for path in folder.iterdir()):
            raise UsageError(f"{folder} is neither empty nor a cache; choose another folder")
        if before is not None and any(before.get(name) != head[name] for name in SAME):
            raise UsageError(f"{folder} holds a cache of other data or another size; choose another folder")
        if before not in (None, head):
            (folder / INDEX).unlink(missing_ok=True)
        write_json(folder / BEGUN, head)
        write = Shards(folder, size, say)
        parts = {part: write.part(part, source) for part in PARTS if (source := getattr(tables, part)) is not None}
        return _finished(folder, head, parts)


@dataclass(frozen=True)
class Shards:
    """Writes the shards of a cache into `folder`."""

    folder: Path
    size: int
    say: Callable[[str], None]

    def part(self, part: str, source: Source) -> list[str]:
        """The names of the shards of all images of `source`, each written or found whole."""
        spans = self._spans(len(source))
        return [
            self._shard(f"{part}-{number:05d}", source.subset(np.arange(span.start, span.stop)))
            for number, span in enumerate(spans)
        ]

    def _spans(self, images: int) -> Iterator[range]:
        """The positions that go into each shard, by an estimate that needs no image."""
        each = max(SHARD // (3 * self.size * self.size * 4 // 3), 1)
        for start in range(0, images, each):
            yield range(start, min(start + each, images))

    def _shard(self, name: str, source: Source) -> str:
        """Write one shard, or find it whole; its index comes after its pixels."""
        index, pixels = self.folder / f"{name}.json", self.folder / f"{name}.bin"
        told: dict[str, Any] = {
            "labels": source.labels.tolist(),
            "paths": [source.path(i) for i in range(len(source))],
            "identities": [f"{identity:016x}" for identity in source.identities().tolist()],
            "version": source.version(),
        }
        if index.exists() and pixels.exists():
            found = read_index(index)
            changed = [name for name, value in told.items() if found.get(name) != value]
            if not changed and sha256(pixels) == found["sha256"]:
                return name
            self.say(f"{pixels} {'is of data that has changed' if changed else 'is damaged'}; written again")
        for file in (self.folder / INDEX, index):  # neither may speak of other pixels than are there
            file.unlink(missing_ok=True)
        sizes: list[tuple[int, int]] = []
        damaged: dict[str, str] = {}
        write_with(pixels, lambda temporary: self._pixels(temporary, source, sizes, damaged))
        measured: dict[str, Any] = {"images": len(source), "bytes": pixels.stat().st_size, "sha256": sha256(pixels)}
        write_json(index, measured | {"damaged": damaged, "sizes": sizes} | told)
        self.say(f"{name}: {len(source):,} images, {measured['bytes'] / 1e6:,.0f} MB")
        return name

    def _pixels(self, path: str, source: Source, sizes: list[tuple[int, int]], damaged: dict[str, str]) -> None:
        """Write all images into `path`, and note their sizes (height, width), and the reasons of those that cannot."""
        with open(path, "wb") as file:
            for i in range(len(source)):
                try:
                    image = smaller(source.load(i), self.size)
                except DamagedImage as error:
                    damaged[str(i)] = error.reason
                    sizes.append((0, 0))
                    continue
                sizes.append((int(image.shape[-2]), int(image.shape[-1])))
                file.write(image.permute(1, 2, 0).contiguous().numpy().data)


def smaller(image: torch.Tensor, size: int) -> torch.Tensor:
    """uint8 (C, H, W) with a short side of at most `size` px, antialiased."""
    height, width = image.shape[-2:]
    if min(height, width) <= size:
        return image
    ratio = size / min(height, width)
    sides = [max(round(height * ratio), size), max(round(width * ratio), size)]
    scaled: torch.Tensor = F.resize(image, sides, interpolation=InterpolationMode.BICUBIC, antialias=True)
    return scaled


def _finished(folder: Path, head: dict[str, Any], parts: dict[str, list[str]]) -> dict[str, Any]:
    indices = {name: read_index(folder / f"{name}.json") for names in parts.values() for name in names}
    told = head | {
        "images": {part: sum(indices[name]["images"] for name in names) for part, names in parts.items()},
        "bytes": sum(index["bytes"] for index in indices.values()),
        "damaged": sum(len(index["damaged"]) for index in indices.values()),
        "shards": parts,
    }
    write_json(folder / INDEX, told)
    for file in folder.glob("*-[0-9]*"):  # of data that had more images
        if file.stem not in indices:
            file.unlink()
    return told
