"""A data set decoded once: pixels in shards that are read by memory map.

A cache is a folder of shards, `train-00000.bin` (pixels, height × width × channels, one image after the other) beside
`train-00000.json` (sizes, labels, paths, identities, damage, checksum), and `cache.json`, which is written last. Images
keep their positions and identities, so training, holdout and test part, fingerprint and augmentation are those of the
original. `compound.data.caching` writes it.
"""

from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from compound.data.chance import Hashes
from compound.data.errors import DamagedImage, DataError
from compound.data.identity import of_names
from compound.data.source import Labels, Source, packed, unpacked
from compound.data.tables import Tables
from compound.documents import damaged, read_json

INDEX = "cache.json"
FORMAT = 1


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
        identities: Hashes,
    ) -> None:
        self.labels, self.channels = labels, channels
        self._shards, self._places = shards, places  # (n, 4): shard, first byte, height, width
        self._paths = packed(paths)
        self._damage, self._identities = damage, identities
        self._maps: dict[int, np.ndarray[Any, np.dtype[np.uint8]]] = {}

    def path(self, index: int) -> str:
        return unpacked(self._paths[index])

    def identities(self) -> Hashes:
        """Of the images that were decoded."""
        return self._identities

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
        places, known = self._places[indices], self._identities[indices]
        return CacheSource(self._shards, self.channels, places, self.labels[indices], paths, damage, known)

    def joined(self, other: Self) -> "CacheSource | None":
        if (self._shards, self.channels) != (other._shards, other.channels):
            return None
        places, labels = (np.concatenate(each) for each in ((self._places, other._places), (self.labels, other.labels)))
        paths = [source.path(i) for source in (self, other) for i in range(len(source))]
        damage = self._damage | {len(self) + index: reason for index, reason in other._damage.items()}
        known = np.concatenate([self._identities, other._identities])
        return CacheSource(self._shards, self.channels, places, labels, paths, damage, known)

    def _map(self, shard: int) -> Any:
        if shard not in self._maps:
            # Copy on write: torch warns of memory that it must not write to.
            self._maps[shard] = np.asarray(np.memmap(self._shards[shard], dtype=np.uint8, mode="c"))
        return self._maps[shard]

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_maps": {}}  # each process maps the shards itself


def is_cache(folder: Path) -> bool:
    return (folder / INDEX).is_file() or (folder / "begun.json").is_file()


def open_cache(folder: Path) -> Tables:
    """The tables that were written into `folder`."""
    if not (folder / INDEX).is_file():
        raise DataError(f"{folder} is a cache that was not finished; go on with `compound data cache DATA -o {folder}`")
    head = read_index(folder / INDEX)
    with damaged(folder / INDEX, "write the cache again", error=DataError):
        if head["format"] != FORMAT:
            raise DataError(f"{folder} has format {head['format']}, this version reads {FORMAT}; write the cache again")
        parts = {part: _open_part(folder, names, head["channels"]) for part, names in head["shards"].items()}
        return Tables(
            head["name"], tuple(head["classes"]), head["channels"],
            parts["train"], parts.get("holdout"), parts.get("test"), by=head.get("by", "position"),
        )  # fmt: skip


def _open_part(folder: Path, names: list[str], channels: int) -> CacheSource:
    places: list[Labels] = []
    labels: list[int] = []
    paths: list[str] = []
    known: list[Hashes] = []
    damage: dict[int, str] = {}
    for shard, name in enumerate(names):
        index, pixels = read_index(folder / f"{name}.json"), folder / f"{name}.bin"
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
        told = index.get("identities")  # not of an older cache, whose images are divided by position
        known.append(of_names(index["paths"]) if told is None else np.array([int(i, 16) for i in told], np.uint64))
    shards = [folder / f"{name}.bin" for name in names]
    numbers, identities = np.array(labels, dtype=np.int64), np.concatenate(known)
    return CacheSource(shards, channels, np.concatenate(places), numbers, paths, damage, identities)


def read_index(path: Path) -> Any:
    """What an index of the cache says."""
    return read_json(path, "write the cache again", error=DataError, most="COMPOUND_MAX_INDEX")
