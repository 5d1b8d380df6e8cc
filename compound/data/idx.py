"""The idx format of MNIST: a big-endian header and raw bytes, gzipped or not."""

import gzip
import io
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from compound.bounds import bound
from compound.data.errors import DataError
from compound.data.source import ArraySource
from compound.data.tables import Tables
from compound.files import read_bounded, read_regular, write_bytes

CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)  # of Fashion-MNIST, https://github.com/zalandoresearch/fashion-mnist
IMAGES = "{}-images-idx3-ubyte"
LABELS = "{}-labels-idx1-ubyte"
UINT8 = 0x08  # the only element type MNIST's relatives use


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The array of an idx file, in the shape that its header states."""
    try:
        most = bound("COMPOUND_MAX_ARRAYS")
        data = read_regular(path, most)
        if path.suffix == ".gz":
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
                data = read_bounded(file, most)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise DataError(f"cannot read {path}: {reason}; restore the file") from None
    if len(data) < 4 or data[:3] != bytes((0, 0, UINT8)):
        raise DataError(f"{path} does not begin with the idx header of bytes 00 00 08; give an idx file of uint8")
    axes = data[3]
    start = 4 + 4 * axes
    shape = struct.unpack_from(f">{axes}I", data, 4) if len(data) >= start else ()
    if len(data) != start + math.prod(shape):
        raise DataError(f"{path} holds {len(data):,} bytes, which is not what its header says; restore the file")
    return np.frombuffer(bytearray(data), dtype=np.uint8, offset=start).reshape(shape)


def write_idx(path: Path, array: NDArray[np.uint8]) -> None:
    """Write `array` gzipped; the same array gives the same bytes."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, UINT8, array.ndim, *array.shape)
    write_bytes(path, gzip.compress(header + array.tobytes(), compresslevel=9, mtime=0))


def is_idx_folder(folder: Path) -> bool:
    return _find(folder, IMAGES.format("train")) is not None


def open_idx(folder: Path, name: str) -> Tables:
    """The four files of MNIST or a relative: classes are digits, or the ten names where the folder says fashion."""
    train, test = (_part(folder, prefix, f"{name} {split}") for prefix, split in (("train", "train"), ("t10k", "test")))
    digits = tuple(str(i) for i in range(int(train.labels.max(initial=-1)) + 1))
    place = "/".join(folder.resolve().parts[-2:]).lower()  # torchvision's is FashionMNIST/raw
    classes = CLASSES if "fashion" in place and len(digits) == len(CLASSES) else digits
    return Tables(name, classes, 1, train, None, test)


def _part(folder: Path, prefix: str, name: str) -> ArraySource:
    paths = {kind: _find(folder, kind.format(prefix)) for kind in (IMAGES, LABELS)}
    for kind, path in paths.items():
        if path is None:
            raise DataError(f"{folder} has no {kind.format(prefix)}(.gz); put all four idx files there")
    images, labels = (read_idx(path) for path in paths.values() if path)
    if images.ndim != 3:
        raise DataError(f"{paths[IMAGES]} has {images.ndim} axes; give images of three axes: number, height, width")
    return ArraySource(torch.from_numpy(images)[:, None], labels, name)


def _find(folder: Path, stem: str) -> Path | None:
    # torchvision's own copies write the dot of `idx3-ubyte` as in the originals, others as `.idx3-ubyte`.
    names = (stem, f"{stem}.gz", stem.replace("-idx", ".idx"), stem.replace("-idx", ".idx") + ".gz")
    return next((folder / name for name in names if (folder / name).is_file()), None)
