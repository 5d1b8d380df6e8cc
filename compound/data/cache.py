"""A data set decoded once: pixels in shards that are read by memory map.

A cache is a folder of shards, `train-00000.bin` (pixels, height × width × channels, one image after the other) beside
`train-00000.json` (sizes, labels, paths, damage, checksum), and `cache.json`, which is written last. Images keep their
positions, so training, holdout and test part, fingerprint and augmentation are those of the original.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

from compound.data.errors import DamagedImage, DataError
from compound.data.source import Labels, Source, packed, unpacked
from compound.data.tables import Tables
from compound.errors import UsageError
from compound.files import clear_leftovers, locked, make_folder, sha256, write_json, write_with

INDEX = "cache.json"
SHARD = 2**28  # bytes of pixels after which a new shard begins
FORMAT = 1
PARTS = ("train", "holdout", "test")


class CacheSource(Source):
    """Images of shards, uint8 (C, H, W) without decoding; damaged ones are as damaged as they were."""

    def __init__(
        self,
        shards: list[Path],
        channels: int,
        places: Labels,
        labels: Labels,
        paths: list[str],
        damage: dict[int, str],
    ) -> None:
        self.labels, self.channels = labels, channels
        self._shards, self._places = shards, places  # (n, 4): shard, first byte, height, width
        self._paths = packed(paths)
        self._damage = damage
        self._maps: dict[int, np.ndarray[Any, np.dtype[np.uint8]]] = {}

    def path(self, index: int) -> str:
        return unpacked(self._paths[index])

    def load(self, index: int) -> torch.Tensor:
        if int(index) in self._damage:
            raise DamagedImage(self.path(index), self._damage[int(index)])
        shard, start, height, width = self._places[index].tolist()
        pixels = self._map(shard)[start : start + height * width * self.channels]
        return torch.from_numpy(pixels.reshape(height, width, self.channels)).permute(2, 0, 1)

    def subset(self, indices: Labels) -> "CacheSource":
        chosen = [int(i) for i in indices]
        damage = {new: self._damage[old] for new, old in enumerate(chosen) if old in self._damage}
        paths = [self.path(i) for i in chosen]
        return CacheSource(self._shards, self.channels, self._places[indices], self.labels[indices], paths, damage)

    def joined(self, other: Self) -> "CacheSource | None":
        if (self._shards, self.channels) != (other._shards, other.channels):
            return None
        places, labels = (np.concatenate(each) for each in ((self._places, other._places), (self.labels, other.labels)))
        paths = [source.path(i) for source in (self, other) for i in range(len(source))]
        damage = self._damage | {len(self) + index: reason for index, reason in other._damage.items()}
        return CacheSource(self._shards, self.channels, places, labels, paths, damage)

    def _map(self, shard: int) -> Any:
        if shard not in self._maps:
            # Copy on write: torch warns of memory that it must not write to.
            self._maps[shard] = np.asarray(np.memmap(self._shards[shard], dtype=np.uint8, mode="c"))
        return self._maps[shard]

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_maps": {}}  # each process maps the shards itself


def write_cache(
    tables: Tables, folder: str | Path, size: int = 256, say: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Write `tables` into `folder`, images scaled down to a short side of `size` px; smaller ones stay as they are.

    What is there already from a run that was stopped is checked and kept. Returns what `cache.json` says.
    """
    if size < 1:
        raise UsageError(f"size {size} is less than one pixel; use e.g. 256")
    folder = make_folder(folder)
    head = {"format": FORMAT, "name": tables.name, "classes": list(tables.classes), "channels": tables.channels}
    head |= {"size": size}
    with locked(folder / ".lock", f"the cache {folder}"):
        clear_leftovers(folder)
        begun = folder / "begun.json"
        before = _read_json(begun) if begun.exists() else None
        if before is None and any(path.name != ".lock" for path in folder.iterdir()):
            raise UsageError(f"{folder} is neither empty nor a cache; choose another folder")
        if before not in (None, head):
            raise UsageError(f"{folder} holds a cache of other data or another size; choose another folder")
        write_json(begun, head)
        parts = {}
        for part in PARTS:
            source = getattr(tables, part)
            if source is not None:
                parts[part] = [
                    _shard(folder, part, *span, source, size, say) for span in enumerate(_spans(source, size))
                ]
        return _finished(folder, head, parts)


def _spans(source: Source, size: int) -> Iterator[range]:
    """The positions that go into each shard, by an estimate that needs no image."""
    each = max(SHARD // (3 * size * size * 4 // 3), 1)
    for start in range(0, len(source), each):
        yield range(start, min(start + each, len(source)))


def _shard(
    folder: Path, part: str, number: int, span: range, source: Source, size: int, say: Callable[[str], None]
) -> str:
    """Write one shard, or find it whole; its index comes after its pixels. Returns its name."""
    name = f"{part}-{number:05d}"
    labels, paths = source.labels[span.start : span.stop].tolist(), [source.path(i) for i in span]
    index, pixels = folder / f"{name}.json", folder / f"{name}.bin"
    if index.exists():
        found = _read_json(index)
        if (found["labels"], found["paths"]) != (labels, paths):
            raise UsageError(f"{index} lists other images than the data now has; choose another folder")
        if pixels.exists() and sha256(pixels) == found["sha256"]:
            return name
        say(f"{pixels} is damaged; written again")
    sizes: list[tuple[int, int]] = []
    damaged: dict[str, str] = {}

    def write(temporary: str) -> None:
        with open(temporary, "wb") as file:
            for i in span:
                try:
                    image = smaller(source.load(i), size)
                except DamagedImage as error:
                    damaged[str(i - span.start)] = error.reason
                    sizes.append((0, 0))
                    continue
                sizes.append((int(image.shape[-2]), int(image.shape[-1])))
                file.write(image.permute(1, 2, 0).contiguous().numpy().data)

    write_with(pixels, write)
    told: dict[str, Any] = {"images": len(span), "bytes": pixels.stat().st_size, "sha256": sha256(pixels)}
    write_json(index, told | {"damaged": damaged, "labels": labels, "sizes": sizes, "paths": paths})
    say(f"{name}: {len(span):,} images, {told['bytes'] / 1e6:,.0f} MB")
    return name


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
    indices = {name: _read_json(folder / f"{name}.json") for names in parts.values() for name in names}
    told = head | {
        "images": {part: sum(indices[name]["images"] for name in names) for part, names in parts.items()},
        "bytes": sum(index["bytes"] for index in indices.values()),
        "damaged": sum(len(index["damaged"]) for index in indices.values()),
        "shards": parts,
    }
    write_json(folder / INDEX, told)
    return told


def is_cache(folder: Path) -> bool:
    return (folder / INDEX).is_file() or (folder / "begun.json").is_file()


def open_cache(folder: Path) -> Tables:
    """The tables that were written into `folder`."""
    if not (folder / INDEX).is_file():
        raise DataError(f"{folder} is a cache that was not finished; go on with `compound data cache DATA -o {folder}`")
    head = _read_json(folder / INDEX)
    try:
        if head["format"] != FORMAT:
            raise DataError(f"{folder} has format {head['format']}, this version reads {FORMAT}; write the cache again")
        parts = {part: _open_part(folder, names, head["channels"]) for part, names in head["shards"].items()}
        return Tables(
            head["name"], tuple(head["classes"]), head["channels"],
            parts["train"], parts.get("holdout"), parts.get("test"),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder / INDEX} is damaged ({error!r}); write the cache again") from None


def _open_part(folder: Path, names: list[str], channels: int) -> CacheSource:
    places: list[Labels] = []
    labels: list[int] = []
    paths: list[str] = []
    damage: dict[int, str] = {}
    for shard, name in enumerate(names):
        index, pixels = _read_json(folder / f"{name}.json"), folder / f"{name}.bin"
        found = pixels.stat().st_size if pixels.is_file() else 0
        if found != index["bytes"]:
            raise DataError(f"{pixels} has {found:,} bytes of {index['bytes']:,}; run `compound data cache` again")
        damage |= {len(labels) + int(at): reason for at, reason in index["damaged"].items()}
        sizes = np.array(index["sizes"], dtype=np.int64).reshape(-1, 2)
        ends = np.cumsum(sizes.prod(1) * channels)
        starts = np.concatenate([[0], ends[:-1]])
        places.append(np.column_stack([np.full(len(sizes), shard), starts, sizes]))
        labels += index["labels"]
        paths += index["paths"]
    shards = [folder / f"{name}.bin" for name in names]
    return CacheSource(shards, channels, np.concatenate(places), np.array(labels, dtype=np.int64), paths, damage)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}: {error}; write the cache again") from None
