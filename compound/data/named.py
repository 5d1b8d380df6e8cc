"""Data sets that torchvision knows, by name, with the splits that transfer papers report (Kornblith et al. 2019)."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torchvision import datasets

from compound.data.errors import DataError
from compound.data.source import ArraySource, FileSource, Source
from compound.data.tables import Tables
from compound.errors import CompoundError

Options = dict[str, Any]


@dataclass(frozen=True)
class Named:
    """A torchvision class, its options for train (the union of several) and test, and how to read an instance."""

    cls: Callable[..., Any]
    train: tuple[Options, ...]
    test: Options
    read: Callable[[Any, str, int], Source]
    channels: int = 3
    hint: str = ""


def _array(data: Any, name: str, channels: int) -> Source:
    """`data.data` is (n, H, W), (n, H, W, 3) or (n, 3, H, W)."""
    images = torch.as_tensor(np.ascontiguousarray(data.data))
    if images.ndim == 3:
        images = images[:, None]
    elif images.shape[-1] == 3:
        images = images.permute(0, 3, 1, 2).contiguous()
    labels = data.labels if hasattr(data, "labels") else data.targets  # torchvision names them so or so
    return ArraySource(images, np.asarray(labels), name).to_channels(channels)


# torchvision keeps the paths of file data sets private; reading them lets damaged files be reported as everywhere.
def _files(data: Any, name: str, channels: int) -> Source:
    return FileSource(data._image_files, data._labels, channels)


def _pets(data: Any, name: str, channels: int) -> Source:
    return FileSource(data._images, data._labels, channels)


def _cars(data: Any, name: str, channels: int) -> Source:
    return FileSource([path for path, _ in data._samples], [label for _, label in data._samples], channels)


FLAG = (({"train": True},), {"train": False})
SPLIT = (({"split": "train"},), {"split": "test"})
TRAINVAL = (({"split": "trainval"},), {"split": "test"})
FLOWERS = (({"split": "train"}, {"split": "val"}), {"split": "test"})  # 2,040 training images
CARS = "its address is gone, so fetch the four archives by hand as torchvision's issue 7545 says"

NAMED = {
    "cifar10": Named(datasets.CIFAR10, *FLAG, _array),
    "cifar100": Named(datasets.CIFAR100, *FLAG, _array),
    "mnist": Named(datasets.MNIST, *FLAG, _array, channels=1),
    "fashionmnist": Named(datasets.FashionMNIST, *FLAG, _array, channels=1),
    "svhn": Named(datasets.SVHN, *SPLIT, _array),
    "stl10": Named(datasets.STL10, *SPLIT, _array),
    "food101": Named(datasets.Food101, *SPLIT, _files),
    "flowers102": Named(datasets.Flowers102, *FLOWERS, _files),
    "oxfordiiitpet": Named(datasets.OxfordIIITPet, *TRAINVAL, _pets),
    "fgvcaircraft": Named(datasets.FGVCAircraft, *TRAINVAL, _files),
    "stanfordcars": Named(datasets.StanfordCars, *SPLIT, _cars, hint=CARS),
}


def open_named(name: str, channels: int | None, root: Path, download: bool) -> Tables:
    """The data set `name` below `root`, fetched first if `download`."""
    named = NAMED[name]
    channels = channels or named.channels
    parts = [_load(name, options, root, download) for options in (*named.train, named.test)]
    sources = [named.read(part, name, channels) for part in parts]
    train = sources[0] if len(sources) == 2 else _joined(sources[:-1])
    labels = [int(source.labels.max(initial=-1)) for source in sources]
    classes = getattr(parts[0], "classes", None) or [str(i) for i in range(max(labels) + 1)]
    return Tables(name, tuple(map(str, classes)), channels, train, None, sources[-1])


def _joined(sources: list[Source]) -> Source:
    paths = [source.path(i) for source in sources for i in range(len(source))]
    channels = next(source.channels for source in sources if isinstance(source, FileSource))
    return FileSource(paths, np.concatenate([source.labels for source in sources]), channels)


def _load(name: str, options: Options, root: Path, download: bool) -> Any:
    named = NAMED[name]
    fetch = {"download": True} if download and not named.hint else {}
    try:
        return named.cls(str(root), **options, **fetch)
    except ImportError as error:
        raise CompoundError(f"{name} needs the package {error.name}; run: pip install {error.name}") from None
    except RuntimeError as error:
        if "scipy" in str(error).lower():
            raise CompoundError(f"{name} needs the package scipy; run: pip install scipy") from None
        remedy = named.hint or "ask for a download (--download), or give the folder that has it as root"
        raise DataError(f"{name} is not in {root}, or not whole; {remedy}") from None
    except OSError as error:
        raise CompoundError(f"{name} could not be fetched into {root}: {error}; check the network and disk") from None
