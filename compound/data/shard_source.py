"""Images of tar shards by position, from this machine or over the network."""

import tarfile
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Self

import numpy as np
import torch

from compound.data.chance import Hashes
from compound.data.decode import decode_image
from compound.data.errors import DamagedImage, DataError
from compound.data.identity import of_bytes, of_content, of_names, stamp
from compound.data.members import HEADER
from compound.data.source import Labels, Source, packed, unpacked
from compound.errors import CompoundError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

WAITS = (1.0, 4.0, 16.0)  # seconds before a remote read is tried again


class ShardSource(Source):
    """Images in tar files; each is read with its tar header, which must be the one that the index knows."""

    def __init__(
        self, shards: Sequence[str], channels: int, places: Labels, labels: Labels, names: Sequence[str]
    ) -> None:
        self.labels, self.channels = labels, channels
        self._shards, self._places = tuple(shards), places  # (n, 3): shard, first byte, bytes
        self._names = packed(names)

    def path(self, index: int) -> str:
        return f"{self._shards[self._places[index, 0]]}/{self._name(index)}"

    def identities(self) -> Hashes:
        """Of the shard's name and the member's: reading them would be reading everything."""
        within = [shard.rpartition("/")[2] for shard in self._shards]
        names = [f"{within[shard]}/{self._name(i)}" for i, shard in enumerate(self._places[:, 0].tolist())]
        return of_names(names)

    def contents(self) -> Hashes | None:
        """As `identities` of files with what the members hold; None where these lie elsewhere, for it reads them."""
        if not is_local(reach(self._shards[0])[0]):
            return None
        return np.array([of_content(self._read(i)[HEADER:]) for i in range(len(self))], dtype=np.uint64)

    def version(self) -> str:
        stamps = [stamp_of(*reach(shard))[1].encode() for shard in self._shards]
        return f"{of_bytes([self.identities().tobytes(), *stamps]):016x}"

    def load(self, index: int) -> torch.Tensor:
        return self.decoded(index, self._read(index))

    def ahead(self, indices: Labels) -> Callable[[int], torch.Tensor]:
        wanted = np.unique(indices).tolist()
        if not wanted or is_local(reach(self._shards[0])[0]):
            return self.load
        (system, *_), *_ = spans = [self._span(index) for index in wanted]
        paths, starts, ends = ([span[part] for span in spans] for part in (1, 2, 3))
        blocks = system.cat_ranges(paths, starts, ends, on_error="return")
        fetched = dict(zip(wanted, blocks, strict=True))

        def load(index: int) -> torch.Tensor:
            block = fetched[index]
            return self.load(index) if isinstance(block, BaseException) else self.decoded(index, block)

        return load

    def decoded(self, index: int, block: bytes) -> torch.Tensor:
        """The image of a `block` that holds its tar header and its bytes."""
        path, size = self.path(index), int(self._places[index, 2])
        if len(block) < HEADER + size:
            raise DamagedImage(path, "the shard ends before the image does")
        if len(block) > HEADER + size:
            raise CompoundError(f"{path}: its server sends whole files alone; take one that answers range requests")
        try:
            fits = tarfile.TarInfo.frombuf(block[:HEADER], tarfile.ENCODING, "surrogateescape").size == size
        except tarfile.TarError:
            fits = False
        if not fits:
            raise DamagedImage(path, "the shard has another member there; run `compound data index` on it")
        return decode_image(block[HEADER:], self.channels, path)

    def subset(self, indices: Labels) -> "ShardSource":
        names = [self._name(i) for i in indices]
        return ShardSource(self._shards, self.channels, self._places[indices], self.labels[indices], names)

    def joined(self, other: Self) -> "ShardSource | None":
        if self.channels != other.channels:
            return None
        places = other._places + np.array([len(self._shards), 0, 0])
        names = [source._name(i) for source in (self, other) for i in range(len(source))]
        labels = np.concatenate([self.labels, other.labels])
        shards = (*self._shards, *other._shards)
        return ShardSource(shards, self.channels, np.concatenate([self._places, places]), labels, names)

    def _name(self, index: int) -> str:
        return unpacked(self._names[index])

    def _span(self, index: int) -> "tuple[AbstractFileSystem, str, int, int]":
        """Where an image and its header lie: file system, path in it, first byte and the one behind the last."""
        shard, start, size = self._places[index].tolist()
        return *reach(self._shards[shard]), start - HEADER, start + size

    def _read(self, index: int) -> bytes:
        shard = self._shards[self._places[index, 0]]
        system, path, start, end = self._span(index)
        for wait in (*WAITS, None):
            try:
                block: bytes = system.cat_file(path, start=start, end=end)
                return block
            except Exception as error:  # each protocol has its own kinds
                if is_local(system):
                    raise DamagedImage(self.path(index), str(error)) from None
                if wait is None or isinstance(error, FileNotFoundError):
                    raise CompoundError(
                        f"cannot read {shard}: {said(error)}; compound resume goes on with a run when it can be"
                    ) from None
                time.sleep(wait)
        raise AssertionError


def reach(address: str) -> "tuple[AbstractFileSystem, str]":
    """The file system of an address and the path in it."""
    import fsspec  # a tenth of a second that those without shards need not wait

    try:
        system, path = fsspec.url_to_fs(address)
    except ValueError as error:  # no such protocol
        raise DataError(f"{address}: {error}; use https://, s3://, gs:// or a path") from None
    except ImportError as error:
        raise DataError(f"{address} cannot be read: {said(error)}") from None
    return system, path


TAGS = ("ETag", "etag", "md5Hash", "LastModified", "last_modified", "updated", "mtime")


def stamp_of(system: "AbstractFileSystem", path: str) -> tuple[int | None, str]:
    """The bytes of a file, and what changes when it is written again: the time and inode here, elsewhere its tag."""
    info = system.info(path)
    tag = stamp(path) if is_local(system) else next((f"{name} {info[name]}" for name in TAGS if info.get(name)), "")
    return info.get("size"), tag


def is_local(system: "AbstractFileSystem") -> bool:
    from fsspec.implementations.local import LocalFileSystem

    return isinstance(system, LocalFileSystem)


def said(error: BaseException) -> str:
    """The first line of an error, or its kind: those of network libraries are often empty."""
    return (str(error).splitlines() or [""])[0] or type(error).__name__
