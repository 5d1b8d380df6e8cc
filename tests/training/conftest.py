"""A data set and a network small enough to train within a test."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from compound import ConvBlock, FusedMBConv, Head, Inputs, MBConv, Network, Stage
from compound.data import ArraySource, Augment, DataSet, FileSource
from compound.training import RECIPES, Recipe

CLASSES = ("bars", "columns", "dots")
NETWORK = Network(
    name="tiny",
    stem=Stage(ConvBlock(3), 1, 8),
    stages=(Stage(FusedMBConv(3, 2), 2, 8, 2), Stage(MBConv(3, 2), 2, 16, 2)),
    head=Head(16),
    resolution=12,
    dropout=0.1,
    survival=0.8,
    inputs=Inputs(mean=(0.3,), std=(0.25,), margin=0),
    classes=3,
    channels=1,
)


def pictures(count: int, seed: int) -> ArraySource:
    """Noise with bright rows, bright columns or bright dots: classes a convolution can tell apart."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    images = rng.integers(0, 90, (count, 1, 12, 12))
    for image, label in zip(images, labels, strict=True):
        where = rng.integers(0, 2)
        if label == 0:
            image[0, where::4] += 120
        elif label == 1:
            image[0, :, where::4] += 120
        else:
            image[0, where::4, where::4] += 120
    return ArraySource(torch.from_numpy(images.astype(np.uint8)), labels, f"pictures-{seed}")


@pytest.fixture
def data() -> DataSet:
    return DataSet("pictures", CLASSES, 1, pictures(96, 1), pictures(24, 2), pictures(60, 3))


@pytest.fixture
def photos(data, tmp_path) -> DataSet:
    """The same pictures as files, so that workers decode them."""
    parts = {}
    for part in ("train", "holdout", "test"):
        source, folder = getattr(data, part), tmp_path / "photos" / part
        folder.mkdir(parents=True)
        paths = [folder / f"{index:03d}.png" for index in range(len(source))]
        for path, image in zip(paths, source.images, strict=True):
            Image.fromarray(image[0].numpy()).save(path)
        parts[part] = FileSource(paths, source.labels, 1)
    return DataSet("photos", CLASSES, 1, **parts)


@pytest.fixture
def network() -> Network:
    return NETWORK


@pytest.fixture
def recipe() -> Recipe:
    augment = Augment(crop="shift", shift=1, flip=True, erase=0.2)
    return replace(RECIPES["small"], epochs=4, batch=16, ema=0.9, mixup=0.2, precision="fp32", augment=augment)
