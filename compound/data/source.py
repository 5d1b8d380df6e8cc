"""Where images come from: memory or files, behind one small interface."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from copy import copy
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from compound.bounds import bound
from compound.data.chance import Hashes
from compound.data.decode import Crop, Rectangle, decode_crop, decode_image, stored_size, to_channels
from compound.data.errors import DamagedImage, DataError
from compound.data.identity import of_bytes, of_files, stamp
from compound.files import read_regular

Labels = NDArray[np.int64]


class Source(ABC):
    """Labelled images by position. Immutable; shared by all epochs and copied into every worker process."""

    labels: Labels
    """Class numbers, (n,); where an image has several labels or none, 0 or 1 for each class, (n, classes)."""

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def path(self, index: int) -> str:
        """What messages call the image: its path, or its place in the file it came from."""

    @abstractmethod
    def identities(self) -> Hashes:
        """What each image is, (n,): see `compound.data.identity`. Copies have one."""

    def version(self) -> str:
        """Hex digits that change when the images do, where `identities` may not."""
        return f"{of_bytes([self.identities().tobytes()]):016x}"

    @abstractmethod
    def load(self, index: int) -> torch.Tensor:
        """The image, uint8 (C, H, W); raises `DamagedImage`."""

    def size(self, index: int) -> tuple[int, int]:
        """Height and width of the image in px, as it is stored; raises `DamagedImage`."""
        height, width = self.load(index).shape[1:]
        return height, width

    def crop(self, index: int, crop: Crop, side: int) -> tuple[torch.Tensor, Rectangle]:
        """The image and what `crop` takes of it, to be scaled to `side` px; an image file may be decoded smaller."""
        image = self.load(index)
        return image, crop(*image.shape[-2:])

    def ahead(self, indices: Labels) -> Callable[[int], torch.Tensor]:
        """`load` for these images; a source that is far away fetches them together."""
        return self.load

    @abstractmethod
    def subset(self, indices: Labels) -> "Source":
        """The source of these images only, in this order."""

    def labelled(self, labels: Labels) -> Self:
        """The same images with other labels."""
        other = copy(self)
        other.labels = labels
        return other

    def joined(self, other: Self) -> "Source | None":
        """The images of both, one after the other; None where they do not fit together."""
        return None


class ArraySource(Source):
    """Images of one size in memory, uint8 (n, C, H, W). `name` is what messages call the whole.

    Of images that come from several arrays, `names` has what each is called and `owners` (n,) whose each image is.
    """

    def __init__(self, images: torch.Tensor, labels: ArrayLike, name: str, numbers: Labels | None = None) -> None:
        self.labels = _labels(labels, len(images), name)
        if images.dtype != torch.uint8 or images.ndim != 4:
            raise DataError(
                f"{name}: images are {images.dtype} of shape {tuple(images.shape)}; give uint8 of shape (n, C, H, W)"
            )
        self.images = images
        self.names: tuple[str, ...] = (name,)
        self.owners = np.zeros(len(images), dtype=np.int16)
        self._numbers = np.arange(len(images)) if numbers is None else numbers  # positions in the original

    def path(self, index: int) -> str:
        return f"{self.names[self.owners[index]]}[{self._numbers[index]}]"

    def identities(self) -> Hashes:
        head = str(tuple(self.images.shape[1:])).encode()
        pixels = self.images.contiguous().numpy()
        return np.array([of_bytes([head, image.data]) for image in pixels], dtype=np.uint64)

    def load(self, index: int) -> torch.Tensor:
        return self.images[index]

    def subset(self, indices: Labels) -> "ArraySource":
        chosen = torch.from_numpy(np.asarray(indices, dtype=np.int64))
        return self._of(self.images[chosen], self.labels[indices], self.owners[indices], self._numbers[indices])

    def joined(self, other: Self) -> "ArraySource | None":
        if self.images.shape[1:] != other.images.shape[1:]:
            return None
        names = list(dict.fromkeys((*self.names, *other.names)))
        place = np.array([names.index(name) for name in other.names], dtype=np.int16)
        labels = np.concatenate([self.labels, other.labels])
        owners = np.concatenate([self.owners, place[other.owners]])
        numbers = np.concatenate([self._numbers, other._numbers])
        found = self._of(torch.cat([self.images, other.images]), labels, owners, numbers)
        found.names = tuple(names)
        return found

    def to_channels(self, channels: int) -> "ArraySource":
        """The same images in grey (1) or RGB (3)."""
        return self._of(to_channels(self.images, channels), self.labels, self.owners, self._numbers)

    def _of(self, images: torch.Tensor, labels: Labels, owners: NDArray[np.int16], numbers: Labels) -> "ArraySource":
        found = ArraySource(images, labels, self.names[0], numbers)
        found.names, found.owners = self.names, owners
        return found


class FileSource(Source):
    """Image files, decoded when loaded, in grey (`channels` 1) or RGB (3); `identities` (n,) where they are known."""

    def __init__(
        self, paths: Sequence[str | Path], labels: ArrayLike, channels: int, identities: Hashes | None = None
    ) -> None:
        self.labels = _labels(labels, len(paths), "image files")
        self._paths, self.channels = packed(paths), channels
        self._identities = identities

    def path(self, index: int) -> str:
        return unpacked(self._paths[index])

    def paths(self) -> list[str]:
        return [unpacked(path) for path in self._paths]

    def known_by(self, identities: Hashes) -> "FileSource":
        """The same files, told apart by `identities`."""
        return FileSource(self.paths(), self.labels, self.channels, identities)

    def identities(self) -> Hashes:
        """Of their content, unless others were given."""
        if self._identities is None:
            self._identities = of_files(self.paths())
        return self._identities

    def version(self) -> str:
        return f"{of_bytes(stamp(path).encode() for path in self.paths()):016x}"

    def load(self, index: int) -> torch.Tensor:
        return decode_image(self._read(index), self.channels, self.path(index))

    def size(self, index: int) -> tuple[int, int]:
        return stored_size(self._read(index), self.channels, self.path(index))

    def crop(self, index: int, crop: Crop, side: int) -> tuple[torch.Tensor, Rectangle]:
        return decode_crop(self._read(index), self.channels, self.path(index), crop, side)

    def _read(self, index: int) -> bytes:
        path = self.path(index)
        try:
            return read_regular(path, bound("COMPOUND_MAX_IMAGE"))
        except OSError as error:
            raise DamagedImage(path, (error.strerror or type(error).__name__).lower()) from None

    def subset(self, indices: Labels) -> "FileSource":
        known = None if self._identities is None else self._identities[indices]
        return FileSource([self.path(i) for i in indices], self.labels[indices], self.channels, known)

    def joined(self, other: Self) -> "FileSource | None":
        if self.channels != other.channels:
            return None
        known = np.concatenate([self.identities(), other.identities()])
        labels = np.concatenate([self.labels, other.labels])
        return FileSource([*self.paths(), *other.paths()], labels, self.channels, known)


def packed(names: Sequence[str | Path]) -> NDArray[np.bytes_]:
    """One array of bytes: a list of a million strings would be copied page by page into every forked worker."""
    return np.array([str(name).encode("utf-8", "surrogateescape") for name in names], dtype=np.bytes_)


def unpacked(name: bytes) -> str:
    return bytes(name).decode("utf-8", "surrogateescape")


def subset(source: Source, indices: ArrayLike) -> Source:
    """The images of `source` at `indices`, in that order."""
    return source.subset(np.asarray(indices, dtype=np.int64))


def concatenated(first: Source, second: Source) -> Source:
    """The images of two sources of one kind, one after the other. Raises `DataError` for sources that do not fit."""
    if not (len(first) and len(second)):
        return first if len(first) else second
    both = first.joined(second) if type(first) is type(second) else None
    if both is None:
        raise DataError(f"{first.path(0)} and {second.path(0)} are of two kinds and make no one source")
    return both


def _labels(labels: ArrayLike, count: int, name: str) -> Labels:
    result = np.asarray(labels, dtype=np.int64)
    if result.ndim not in (1, 2) or len(result) != count:
        raise DataError(
            f"{name}: {len(result) if result.ndim else 1} labels for {count} images; give one label an image"
        )
    return result
