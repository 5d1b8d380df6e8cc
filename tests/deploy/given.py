"""What exports are tested on: images, names of classes, and a file that would run code."""

import os
from pathlib import Path

import numpy as np
import torch

from compound.data import ArraySource
from compound.nn import ConvNet

CLASSES = tuple("abcdefg")


def photos(model: ConvNet, count: int = 12) -> ArraySource:
    rng = np.random.default_rng(5)
    side = model.network.resolution
    coarse = rng.integers(0, 256, (count, 3, 6, 6), dtype=np.uint8).repeat(-(-side // 6), 2).repeat(-(-side // 6), 3)
    images = torch.from_numpy(np.ascontiguousarray(coarse[:, :, :side, :side]))
    return ArraySource(images, np.arange(count) % len(CLASSES), "photos")


class Payload:
    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self):
        return os.mkdir, (str(self.proof),)
