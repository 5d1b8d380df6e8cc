"""Images a second that a core loads for training, from JPEG and from a cache, against torchvision's ImageFolder.

    python -m benchmarks.loading [--full] [-o FOLDER]

Photos of scikit-image, random parts of them scaled to 500×375 px as ImageNet's are on average, are written as JPEG of
quality 90. Every way gives what training needs, a random resized crop to 224 px and a flip, in one process and thread.
ImageFolder decodes by Pillow and ends in float tensors (RandomResizedCrop, RandomHorizontalFlip, ToTensor), ours in
uint8 batches, which are normalised on the device. The ways take turns; a ratio is that of one turn. Writes
loading.json.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.environment import RESULTS, write_result
from compound.data import Augment, DataSpec, Preprocessing, make_loader, open_data
from compound.data.caching import write_cache
from compound.data.open import read_tables
from compound.measurement.machine import keep_freed_memory
from compound.network import Inputs

PHOTOS = ("astronaut", "chelsea", "coffee", "rocket", "retina", "immunohistochemistry")
SIZE = (500, 375)
SIDE, BATCH = 224, 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--full", action="store_true", help="More images and turns.")
    parser.add_argument("-o", "--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()  # as `train` does; for all three
    count, turns = (2048, 9) if given.full else (512, 5)
    with tempfile.TemporaryDirectory() as place:
        folder = write_photos(Path(place) / "photos", count)
        write_cache(read_tables(DataSpec(str(folder))), Path(place) / "cache", 256)
        ways = {
            "image_folder": image_folder(folder),
            "files": ours(folder, "bilinear"),
            "cache": ours(Path(place) / "cache", "bilinear"),
        }
        rates: dict[str, list[float]] = {way: [] for way in ways}
        for turn in range(turns + 1):
            for way, load in ways.items():
                begun = time.perf_counter()
                images = load(turn)
                if turn:  # the first has the files read from the disk
                    rates[way].append(images / (time.perf_counter() - begun))
    result: dict[str, Any] = {"images": count, "size": SIZE, "side": SIDE, "batch": BATCH, "threads": 1, "turns": turns}
    result["images_a_second"] = {way: statistics.median(each) for way, each in rates.items()}
    for way in ("files", "cache"):
        ratios = [a / b for a, b in zip(rates[way], rates["image_folder"], strict=True)]
        result[f"{way}_ratio"] = {"median": statistics.median(ratios), "lowest": min(ratios), "highest": max(ratios)}
    for way, rate in result["images_a_second"].items():
        print(f"{way:>12}: {rate:,.0f} images/s, {rate / result['images_a_second']['image_folder']:.2f}× ImageFolder")
    print(write_result("loading", result | {"rates": rates}, given.out))


def write_photos(folder: Path, count: int, seed: int = 0) -> Path:
    """`count` JPEG files in two class folders: parts of real photos, every one another part."""
    from skimage import data

    rng = np.random.default_rng(seed)
    photos = [Image.fromarray(getattr(data, name)()).convert("RGB") for name in PHOTOS]
    for number in range(count):
        photo = photos[number % len(photos)]
        width = int(min(photo.width, photo.height * SIZE[0] / SIZE[1]) * rng.uniform(0.6, 1.0))
        height = width * SIZE[1] // SIZE[0]
        left, top = (int(rng.integers(0, room + 1)) for room in (photo.width - width, photo.height - height))
        part = photo.crop((left, top, left + width, top + height)).resize(SIZE, Image.Resampling.BICUBIC)
        place = folder / "train" / f"class{number % 2}"
        place.mkdir(parents=True, exist_ok=True)
        part.save(place / f"{number:05d}.jpg", quality=90)
    return folder


def image_folder(folder: Path) -> Callable[[int], int]:
    """torchvision's reference loader."""
    from torch.utils.data import DataLoader
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    steps = [transforms.RandomResizedCrop(SIDE), transforms.RandomHorizontalFlip(), transforms.ToTensor()]
    loader = DataLoader(ImageFolder(str(folder / "train"), transforms.Compose(steps)), BATCH, shuffle=True)
    return lambda epoch: sum(len(images) for images, _ in loader)


def ours(folder: Path, interpolation: Any) -> Callable[[int], int]:
    """The loader of `compound train` with the paper's crop; with ImageFolder's interpolation."""
    train = open_data(str(folder), holdout=0).train
    preprocessing = Preprocessing(SIDE, 3, Inputs(interpolation=interpolation))
    loader = make_loader(train, preprocessing, BATCH, augment=Augment(crop="inception"), shuffle=True, workers=0)
    return lambda epoch: sum(len(batch) for batch in loader)


if __name__ == "__main__":
    main()
