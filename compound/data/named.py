"""Data sets that torchvision knows, by name, with the splits that transfer papers report (Kornblith et al. 2019)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torchvision import datasets

from compound.data.birdsnap import Birdsnap
from compound.data.errors import DataError
from compound.data.identity import Identity
from compound.data.source import ArraySource, FileSource, Labels, Source
from compound.data.tables import Tables
from compound.errors import CompoundError

Options = dict[str, Any]
Files = tuple[Sequence[str | Path], Labels | Sequence[int]]


@dataclass(frozen=True)
class NamedDataSet:
    """A torchvision class, its options for train (the union of several) and test, and what an instance holds.

    `files`: paths and labels of an instance; None where it holds arrays.
    """

    cls: Callable[..., Any]
    train: tuple[Options, ...]
    test: Options
    files: Callable[[Any], Files] | None = None
    channels: int = 3
    hint: str = ""
    sizes: tuple[int, int, int] | None = None  # training and test images, classes, as published


def _array(data: Any, name: str) -> ArraySource:
    """`data.data` is (n, H, W), (n, H, W, 3) or (n, 3, H, W)."""
    images = torch.as_tensor(np.ascontiguousarray(data.data))
    if images.ndim == 3:
        images = images[:, None]
    elif images.shape[-1] == 3:
        images = images.permute(0, 3, 1, 2).contiguous()
    labels = data.labels if hasattr(data, "labels") else data.targets  # torchvision names them so or so
    return ArraySource(images, np.asarray(labels), name)


# torchvision keeps the paths of file data sets private; reading them lets damaged files be reported as everywhere.
def _files(data: Any) -> Files:
    return data._image_files, data._labels


def _pets(data: Any) -> Files:
    return data._images, data._labels


def _cars(data: Any) -> Files:
    return [path for path, _ in data._samples], [label for _, label in data._samples]


def _birds(data: Birdsnap) -> Files:
    return data.paths, data.labels


FLAG = (({"train": True},), {"train": False})
SPLIT = (({"split": "train"},), {"split": "test"})
TRAINVAL = (({"split": "trainval"},), {"split": "test"})
FLOWERS = (({"split": "train"}, {"split": "val"}), {"split": "test"})  # 2,040 training images
BIRDS = "fetch it with the authors' get_birdsnap.py and give the folder of its images.txt as birdsnap below --root"
CARS = "its address is gone, so fetch the four archives by hand as torchvision's issue 7545 says"

NAMED = {
    "cifar10": NamedDataSet(datasets.CIFAR10, *FLAG, sizes=(50_000, 10_000, 10)),
    "cifar100": NamedDataSet(datasets.CIFAR100, *FLAG, sizes=(50_000, 10_000, 100)),
    "mnist": NamedDataSet(datasets.MNIST, *FLAG, channels=1),
    "fashionmnist": NamedDataSet(datasets.FashionMNIST, *FLAG, channels=1),
    "svhn": NamedDataSet(datasets.SVHN, *SPLIT),
    "stl10": NamedDataSet(datasets.STL10, *SPLIT),
    "food101": NamedDataSet(datasets.Food101, *SPLIT, _files, sizes=(75_750, 25_250, 101)),
    "flowers102": NamedDataSet(datasets.Flowers102, *FLOWERS, _files, sizes=(2_040, 6_149, 102)),
    # Table 6 prints 3,369 test images; the published split has 3,669.
    "oxfordiiitpet": NamedDataSet(datasets.OxfordIIITPet, *TRAINVAL, _pets, sizes=(3_680, 3_669, 37)),
    "fgvcaircraft": NamedDataSet(datasets.FGVCAircraft, *TRAINVAL, _files, sizes=(6_667, 3_333, 100)),
    "stanfordcars": NamedDataSet(datasets.StanfordCars, *SPLIT, _cars, hint=CARS, sizes=(8_144, 8_041, 196)),
    "birdsnap": NamedDataSet(Birdsnap, *FLAG, _birds, hint=BIRDS, sizes=(47_386, 2_443, 500)),
}


def open_named(name: str, channels: int | None, root: Path, download: bool) -> Tables:
    """The data set `name` below `root`, fetched first if `download`."""
    named = NAMED[name]
    channels = channels or named.channels
    parts = [_load(name, options, root, download) for options in (*named.train, named.test)]
    files = named.files
    sources: list[Source] = [
        FileSource(*files(part), channels) if files else _array(part, name).to_channels(channels) for part in parts
    ]
    train = sources[0] if len(sources) == 2 else _joined(sources[:-1])
    labels = [int(source.labels.max(initial=-1)) for source in sources]
    classes = getattr(parts[0], "classes", None) or [str(i) for i in range(max(labels) + 1)]
    _check_sizes(name, len(train), len(sources[-1]), len(classes))
    by: Identity = "name" if isinstance(train, FileSource) else "position"  # both lists are as published
    return Tables(name, tuple(map(str, classes)), channels, train, None, sources[-1], by=by, base=root)


def _check_sizes(name: str, *found: int) -> None:
    """Raise `DataError` where there are more images or other classes than were published, or far fewer images.

    Birdsnap is a list of addresses of which some are gone; a tenth may be missing there, nothing elsewhere.
    """
    sizes = NAMED[name].sizes
    if sizes is None:
        return
    share = 0.9 if name == "birdsnap" else 1.0
    fits = [share * wanted <= number <= wanted for number, wanted in zip(found, sizes, strict=True)]
    if not all(fits) or found[2] != sizes[2]:
        said = [
            f"{train:,} training and {test:,} test images in {classes} classes"
            for train, test, classes in (found, sizes)
        ]
        raise DataError(f"{name} has {said[0]}, and {said[1]} were published; restore it, or open it as a folder")


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
