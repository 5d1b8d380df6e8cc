"""Arrays in one .npz file, of any number of channels: what NumPy writes, and MedMNIST's sets as they are.

`train_images` is uint8 (n, H, W), (n, H, W, C) or, where the shape leaves no doubt, (n, C, H, W). `train_labels` are
class numbers (n,) or (n, 1), or 0 and 1 for each class (n, classes) where an image may have several. `val_` and `test_`
of both are optional, and so are the names in `classes`; a file of one part may leave the prefix out.
"""

import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray

from compound.bounds import bound
from compound.data.errors import DataError
from compound.data.source import ArraySource, Labels
from compound.data.tables import Tables
from compound.files import open_regular

LISTED = (
    30_000  # classes of the longest lists, ImageNet-21k's; more have an image each, or are numbers of something else
)
REMEDY = "write it with numpy.savez and plain arrays"
PARTS = {"train": "train", "holdout": "val", "test": "test"}


def open_arrays(path: Path) -> Tables:
    """The parts of an .npz file. Raises `DataError`; pickled arrays are refused, never loaded."""
    given = _read(path)
    parts = {part: _part(given, prefix, path) for part, prefix in PARTS.items()}
    train = parts["train"] or _part(given, "", path)
    lacking = ""
    if train is None:
        names = ", ".join(sorted(given)) or "nothing"
        lacking = f"{path} holds {names}; give train_images and train_labels"
    found = [source for source in (train, parts["holdout"], parts["test"]) if source]
    if not found:
        raise DataError(lacking)
    channels = {source.images.shape[1] for source in found}
    if len(channels) > 1:
        raise DataError(f"{path} has parts of {' and '.join(map(str, sorted(channels)))} channels; give all the same")
    classes = _classes(given, found, path)
    return Tables(path.stem, classes, channels.pop(), train, parts["holdout"], parts["test"], lacking=lacking)


def pictures(path: Path, channels: int, labels: Callable[[int], Labels]) -> ArraySource:
    """All images of an .npz file in the order of its parts, for a network that reads `channels`.

    Labels are not read: `labels` gives those of so many images. Raises `DataError`.
    """
    given = _read(path)
    names = [name for part in (*PARTS.values(), "") if (name := f"{part}_images".lstrip("_")) in given]
    if not names:
        raise DataError(f"{path} holds {', '.join(sorted(given)) or 'nothing'} and no images; give an array images")
    found = [_pixels(given, name, path) for name in names]
    for images in found:
        given_channels = images.shape[1]
        if given_channels != channels and not {given_channels, channels} <= {1, 3}:
            told = f"has images of {given_channels} channels, and the network reads {channels}"
            raise DataError(f"{path} {told}; give such images")
        if images.shape[1:] != found[0].shape[1:]:
            raise DataError(f"{path} has images of several shapes in {' and '.join(names)}; give one file for each")
    images = torch.cat(found)
    return ArraySource(images, labels(len(images)), path.name)


def _read(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with open_regular(path, bound("COMPOUND_MAX_ARRAYS")) as stream:
            refuse_bomb(stream, path)
            with np.load(stream, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}; write it with numpy.savez") from None
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise DataError(f"cannot read {path}: it is damaged, or holds more than plain arrays; {REMEDY}") from error


def refuse_bomb(stream: BinaryIO, path: Path) -> None:
    """Raise `DataError` where the arrays take more than COMPOUND_MAX_ARRAYS once they are unpacked."""
    if zipfile.is_zipfile(stream):
        stream.seek(0)
        with zipfile.ZipFile(stream) as file:
            size, most = sum(one.file_size for one in file.infolist()), bound("COMPOUND_MAX_ARRAYS")
        if size > most:
            raise DataError(f"{path} unpacks to {size:,} bytes, and {int(most):,} are allowed; {REMEDY}")
    stream.seek(0)


def _part(given: Mapping[str, NDArray[Any]], prefix: str, path: Path) -> ArraySource | None:
    images, labels = (f"{prefix}_{what}".lstrip("_") for what in ("images", "labels"))
    if images not in given and labels not in given:
        return None
    for name, other in ((images, labels), (labels, images)):
        if name not in given:
            raise DataError(f"{path} has {other} and no {name}; give both")
    pixels, numbers = _pixels(given, images, path), given[labels]
    if not (np.issubdtype(numbers.dtype, np.integer) or numbers.dtype == bool) or numbers.ndim not in (1, 2):
        raise DataError(f"{path}: {labels} is {numbers.dtype} of shape {numbers.shape}; give class numbers (n,)")
    if numbers.ndim == 2 and numbers.shape[1] == 1:
        numbers = numbers[:, 0]
    if numbers.size and (numbers.min() < 0 or (numbers.ndim == 2 and numbers.max() > 1)):
        raise DataError(f"{path}: {labels} goes from {numbers.min()} to {numbers.max()}; count classes from 0")
    _refuse_many(1 + int(numbers.max(initial=0)), path)  # before they become int64, in which uint64 may be negative
    return ArraySource(pixels, numbers, f"{path.name} {images}")


def _pixels(given: Mapping[str, NDArray[Any]], name: str, path: Path) -> torch.Tensor:
    """An array of images as uint8 (n, C, H, W)."""
    pixels = given[name]
    if pixels.dtype != np.uint8 or pixels.ndim not in (3, 4):
        raise DataError(
            f"{path}: {name} is {pixels.dtype} of shape {pixels.shape}; give uint8 (n, H, W) or (n, H, W, channels)"
        )
    first = pixels[:, None] if pixels.ndim == 3 else pixels if _channels_first(pixels) else pixels.transpose(0, 3, 1, 2)
    return torch.from_numpy(np.ascontiguousarray(first))


def _channels_first(pixels: NDArray[Any]) -> bool:
    """Whether (n, C, H, W) is clear from the shape: else images were three pixels high and had dozens of channels."""
    _, second, third, last = pixels.shape
    return second in (1, 3, 4) and min(third, last) > 2 * max(second, 4) - 1


def _classes(given: Mapping[str, NDArray[Any]], parts: list[ArraySource], path: Path) -> tuple[str, ...]:
    several = {source.labels.shape[1] if source.labels.ndim == 2 else 0 for source in parts}
    if len(several) > 1:
        raise DataError(f"{path} has one label an image in one part and several in another; give all alike")
    count = several.pop() or 1 + max(int(source.labels.max(initial=-1)) for source in parts)
    _refuse_many(count, path)
    images = sum(len(source.labels) for source in parts)
    if count > max(images, LISTED):
        raise DataError(
            f"{path} has {images:,} images and its labels make {count:,} classes; count classes without gaps"
        )
    if "classes" not in given:
        return tuple(str(number) for number in range(count))
    names = tuple(str(name) for name in given["classes"])
    if len(names) < count:
        raise DataError(f"{path} names {len(names)} classes and its labels go to {count - 1}; name them all")
    return names


def _refuse_many(count: int, path: Path) -> None:
    if count > bound("COMPOUND_MAX_CLASSES"):
        raise DataError(f"{path}: its labels go to {count - 1:,}; count classes from 0, or raise COMPOUND_MAX_CLASSES")
