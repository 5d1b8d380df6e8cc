"""Small pictures with known content, and files of every kind made from them."""

from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from PIL import Image

Painter = Callable[..., Image.Image]


@pytest.fixture
def picture() -> Painter:
    """A smooth RGB picture that no mirroring or turning maps to itself; `seed` makes another."""

    def paint(width: int = 60, height: int = 40, seed: int = 0) -> Image.Image:
        coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
        return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)

    return paint


@pytest.fixture
def class_folders(tmp_path: Path, picture: Painter) -> Callable[..., Path]:
    """`class_folders(where, {"cat": 5, "dog": 3})` makes where/cat/0.jpg, …"""

    def make(where: str, counts: dict[str, int]) -> Path:
        for label, count in counts.items():
            folder = tmp_path / where / label
            folder.mkdir(parents=True)
            for i in range(count):
                picture(seed=crc32(f"{where} {label} {i}".encode())).save(folder / f"{i:03d}.jpg")
        return tmp_path / where

    return make
