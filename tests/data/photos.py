"""Small folders of pictures: noise, other for each class and number, as stripes or squares that a network can learn."""

from pathlib import Path

import numpy as np
from PIL import Image


def drawn(kind: int, number: int, side: int = 32) -> np.ndarray:
    """Noise with stripes across (0), down (1) or a square (2), (side, side, 3)."""
    pixels = np.random.default_rng(1000 * kind + number).integers(0, 60, (side, side, 3), np.uint8)
    if kind == 0:
        pixels[number % 3 :: 4] = 200
    elif kind == 1:
        pixels[:, number % 3 :: 4] = 200
    else:
        pixels[8 + number % 5 : 20 + number % 5, 8 + number % 3 : 22 + number % 3] = 200
    return pixels


def write_pictures(folder: Path, first: int = 0, **classes: int) -> Path:
    """`folder`/CLASS/000.png, … for each class and its count, numbers from `first` on. Existing files stay."""
    for kind, (name, count) in enumerate(classes.items()):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(first, first + count):
            Image.fromarray(drawn(kind, number)).save(folder / name / f"{number:03}.png")
    return folder
