"""The AutoAugment policy "v0" of the official EfficientNet code, with TensorFlow's arithmetic.

torchvision has the policy that the AutoAugment paper prints; the code that trained EfficientNet holds another one, with
operations in TensorFlow: nearest neighbour, grey 128 where nothing is, a translation in pixels whatever the size.

C channels, H and W the height and width of an image in px
"""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Posterize = Literal["official", "paper", "increasing"]

LEVELS = 10  # magnitudes go from 0 to 10
GREY = 128  # where a moved image leaves nothing
TRANSLATION = 250.0  # px at the highest magnitude; more than the whole image for B0
DRAWS = 5  # uniform numbers an image needs
VALUES = np.arange(256, dtype=np.uint8)


class PolicyStep(NamedTuple):
    """An operation, how likely it is applied, and its magnitude."""

    operation: str
    probability: float
    magnitude: int


def _pair(first: tuple[str, float, int], second: tuple[str, float, int]) -> tuple[PolicyStep, PolicyStep]:
    return PolicyStep(*first), PolicyStep(*second)


# policy_v0 of the official code, in its order; its two steps of probability 0 are never applied.
V0 = (
    _pair(("equalize", 0.8, 1), ("shear_y", 0.8, 4)),
    _pair(("color", 0.4, 9), ("equalize", 0.6, 3)),
    _pair(("color", 0.4, 1), ("rotate", 0.6, 8)),
    _pair(("solarize", 0.8, 3), ("equalize", 0.4, 7)),
    _pair(("solarize", 0.4, 2), ("solarize", 0.6, 2)),
    _pair(("color", 0.2, 0), ("equalize", 0.8, 8)),
    _pair(("equalize", 0.4, 8), ("solarize_add", 0.8, 3)),
    _pair(("shear_x", 0.2, 9), ("rotate", 0.6, 8)),
    _pair(("color", 0.6, 1), ("equalize", 1.0, 2)),
    _pair(("invert", 0.4, 9), ("rotate", 0.6, 0)),
    _pair(("equalize", 1.0, 9), ("shear_y", 0.6, 3)),
    _pair(("color", 0.4, 7), ("equalize", 0.6, 0)),
    _pair(("posterize", 0.4, 6), ("auto_contrast", 0.4, 7)),
    _pair(("solarize", 0.6, 8), ("color", 0.6, 9)),
    _pair(("solarize", 0.2, 4), ("rotate", 0.8, 9)),
    _pair(("rotate", 1.0, 7), ("translate_y", 0.8, 9)),
    _pair(("shear_x", 0.0, 0), ("solarize", 0.8, 4)),
    _pair(("shear_y", 0.8, 0), ("color", 0.6, 4)),
    _pair(("color", 1.0, 0), ("rotate", 0.6, 2)),
    _pair(("equalize", 0.8, 4), ("equalize", 0.0, 8)),
    _pair(("equalize", 1.0, 4), ("auto_contrast", 0.6, 2)),
    _pair(("shear_y", 0.4, 7), ("solarize_add", 0.6, 7)),
    _pair(("posterize", 0.8, 2), ("solarize", 0.6, 10)),
    _pair(("solarize", 0.6, 8), ("equalize", 0.6, 1)),
    _pair(("color", 0.8, 6), ("rotate", 0.4, 5)),
)


def policy_v0(image: Pixels, draws: NDArray[np.float64], posterize: Posterize = "official") -> Pixels:
    """uint8 (C, H, W) through one of the 25 pairs: `draws` are `DRAWS` uniform numbers, which say everything.

    The first picks the pair; of each step one says whether it is applied and one the direction, where it has one.
    """
    steps = V0[int(draws[0] * len(V0))]
    for step, (chance, sign) in zip(steps, draws[1:].reshape(2, 2), strict=True):
        if chance < step.probability:
            image = operate(image, step.operation, step.magnitude, -1 if sign < 0.5 else 1, posterize)
    return image


def operate(image: Pixels, operation: str, magnitude: int, sign: int = 1, posterize: Posterize = "official") -> Pixels:
    """One operation on uint8 (C, H, W); `sign` is the direction of those that move the image."""
    level = magnitude / LEVELS
    if operation in MOVES:
        return MOVES[operation](image, sign * level)
    if operation == "color":
        return _color(image, level * 1.8 + 0.1)
    if operation == "posterize":
        return _posterized(image, magnitude, posterize)
    return np.stack([LOOKUPS[operation](channel, level).take(channel) for channel in image])


def kept_bits(magnitude: int, reading: Posterize) -> int:
    """How many of 8 bits posterising keeps.

    `official` is the code that trained EfficientNet (0 to 4, of which TensorFlow's shift makes at least 1), `paper`
    AutoAugment's Table 6 (4 to 8), `increasing` that of other TensorFlow code, where a higher magnitude keeps fewer.
    """
    bits = int(magnitude / LEVELS * 4)
    # A shift by the whole width is cut to one less, so of a pixel its highest bit is left.
    return max({"official": bits, "paper": bits + 4, "increasing": 4 - bits}[reading], 1)


def _posterized(image: Pixels, magnitude: int, reading: Posterize) -> Pixels:
    shift = 8 - kept_bits(magnitude, reading)
    kept: Pixels = (image >> shift << shift).astype(np.uint8, copy=False)
    return kept


def _inverted(channel: Pixels, level: float) -> Pixels:
    return 255 - VALUES


def _solarized(channel: Pixels, level: float) -> Pixels:
    return np.where(int(level * 256) > VALUES, VALUES, 255 - VALUES)


def _solarize_added(channel: Pixels, level: float) -> Pixels:
    """Brighter by up to 110 where a pixel is darker than 128."""
    return np.where(VALUES < 128, VALUES + np.uint8(level * 110), VALUES)


def _auto_contrasted(channel: Pixels, level: float) -> Pixels:
    """Stretched from the darkest and the brightest value to 0 and 255."""
    low, high = np.float32(channel.min()), np.float32(channel.max())
    values = np.arange(256, dtype=np.float32)
    if high > low:
        scale = np.float32(255) / (high - low)
        values = np.clip(values * scale - low * scale, 0, 255)
    return values.astype(np.uint8)


def _equalized(channel: Pixels, level: float) -> Pixels:
    """The histogram made even."""
    histogram = np.bincount(channel.ravel(), minlength=256)
    step = (histogram.sum() - histogram[histogram.nonzero()[0][-1]]) // 255
    if step == 0:
        return VALUES
    below = np.concatenate([[0], np.cumsum(histogram)[:-1]])  # how many are darker
    table: Pixels = np.minimum((below + step // 2) // step, 255).astype(np.uint8)
    return table


def _color(image: Pixels, factor: float) -> Pixels:
    """Between the image in grey (0) and itself (1), or beyond it."""
    if len(image) != 3:
        return image  # grey has no colour
    weights = np.array([0.2989, 0.587, 0.114], dtype=np.float32)[:, None, None]
    scaled = (image.astype(np.float32) * np.float32(1 / 255) * weights).sum(0, keepdims=True)
    grey = (scaled * np.float32(255.5)).astype(np.uint8).astype(np.float32)
    blended = grey + np.float32(factor) * (image.astype(np.float32) - grey)
    clipped: Pixels = np.clip(blended, 0, 255).astype(np.uint8)
    return clipped


def _rotated(image: Pixels, level: float) -> Pixels:
    """Counter-clockwise by up to 30° about the centre."""
    height, width = image.shape[1:]
    sine, cosine = math.sin(level * math.pi / 6), math.cos(level * math.pi / 6)
    x, y = (width - 1) / 2, (height - 1) / 2
    return _moved(image, (cosine, -sine, x - cosine * x + sine * y), (sine, cosine, y - sine * x - cosine * y))


def _sheared_x(image: Pixels, level: float) -> Pixels:
    return _moved(image, (1, 0.3 * level, 0), (0, 1, 0))


def _sheared_y(image: Pixels, level: float) -> Pixels:
    return _moved(image, (1, 0, 0), (0.3 * level, 1, 0))


def _translated_y(image: Pixels, level: float) -> Pixels:
    return _moved(image, (1, 0, 0), (0, 1, TRANSLATION * level))


def _moved(image: Pixels, row: tuple[float, float, float], column: tuple[float, float, float]) -> Pixels:
    """(x, y) shows what was at (a·x + b·y + c, d·x + e·y + f), rounded to the nearest pixel, or grey outside."""
    channels, height, width = image.shape
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    across, down = (np.float32(a) * x + (np.float32(b) * y + np.float32(c)) for a, b, c in (row, column))
    # C++ rounds halves away from zero: −0.5 is outside already.
    inside = (across > -0.5) & (across < width - 0.5) & (down > -0.5) & (down < height - 0.5)
    places = np.where(inside, (down + 0.5).astype(np.int32) * width + (across + 0.5).astype(np.int32), 0)
    return np.where(inside, image.reshape(channels, -1).take(places, axis=1), np.uint8(GREY))


Operation = Callable[[Pixels, float], Pixels]
# What becomes of each value of a channel (H, W), as a table (256,).
LOOKUPS: dict[str, Operation] = {
    "auto_contrast": _auto_contrasted,
    "equalize": _equalized,
    "invert": _inverted,
    "solarize": _solarized,
    "solarize_add": _solarize_added,
}
# The moved image.
MOVES: dict[str, Operation] = {
    "rotate": _rotated,
    "shear_x": _sheared_x,
    "shear_y": _sheared_y,
    "translate_y": _translated_y,
}
