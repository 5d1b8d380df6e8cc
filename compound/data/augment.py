"""Random changes to training images, each number a function of (seed, epoch, image index): see `chance.py`.

N images, C channels, R the resolution in px
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.transforms import v2

from compound.data.autoaugment import DRAWS, Posterize, policy_v0
from compound.data.chance import Hashes, Integers, Purpose, hashes, uniforms
from compound.data.errors import DataError
from compound.mapping import refuse_absurd

Policy = Literal["none", "autoaugment", "autoaugment-v0", "randaugment", "trivial"]
ATTEMPTS = 10  # at a crop that fits, as everywhere since Inception


class Keys(NamedTuple):
    """What every random number hangs on: for each image of a batch its epoch (N,) and index (N,)."""

    seed: int
    epochs: Integers
    indices: Integers


@dataclass(frozen=True)
class Augment:
    """`crop`: `shift` moves the resized image by up to `shift` px, the border filled as `pad` says; `inception` takes
    a random rectangle of `scale` of the area and of an aspect in `ratio` (Section 5.2's preprocessing). Then `flip`
    mirrors one image in two, and `policy` changes it: `autoaugment-v0` as the official EfficientNet code does, with one
    of the readings of `posterize` (see `kept_bits`); all others are torchvision's (`autoaugment` is the published
    policy; `operations` and `magnitude`, of 0 to 30, are RandAugment's). With probability `erase` a rectangle of sides
    up to `erase_size` of the image's is filled with the network's mean.
    """

    crop: Literal["none", "shift", "inception"] = "none"
    shift: int = 2
    pad: Literal["reflect", "zero"] = "reflect"
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: bool = True
    erase: float = 0.0
    erase_size: float = 0.5
    policy: Policy = "none"
    posterize: Posterize = "official"
    operations: int = 2
    magnitude: int = 9

    def __post_init__(self) -> None:
        refuse_absurd(self, DataError)
        if self.shift < 0:
            raise DataError(f"augment: shift {self.shift} is negative; use 0 for none or a number of pixels")
        for field, (low, high), top in (("scale", self.scale, 1.0), ("ratio", self.ratio, math.inf)):
            if not 0 < low <= high <= top:
                raise DataError(f"augment: {field} ({low}, {high}) is no range above 0; put the smaller number first")
        for field, value in (("erase", self.erase), ("erase_size", self.erase_size)):
            if not 0 <= value <= 1:
                raise DataError(f"augment: {field} {value} is not between 0 and 1; use 0 for none")
        if self.operations < 1:
            raise DataError(f"augment: operations {self.operations} changes nothing; use 1 or more, or policy: none")
        if not 0 <= self.magnitude <= 30:
            raise DataError(f"augment: magnitude {self.magnitude} is not between 0 and 30; use e.g. 9")

    def at(self, magnitude: int | None) -> "Augment":
        """The same with another magnitude; None leaves it."""
        return self if magnitude is None else replace(self, magnitude=magnitude)

    def attempts(self, keys: Keys) -> list[list[list[float]]]:
        """The uniform numbers of every image's inception crop, N × `ATTEMPTS` × 4, for `box`."""
        return uniforms(*keys, Purpose.CROP, 4 * ATTEMPTS).reshape(-1, ATTEMPTS, 4).tolist()

    def box(self, attempts: list[list[float]], height: int, width: int) -> tuple[int, int, int, int]:
        """The rectangle (top, left, height, width) in px for the inception crop of an image of this size."""
        low, high = self.scale
        least, most = (math.log(ratio) for ratio in self.ratio)
        for share, aspect, down, right in attempts:
            area = height * width * (low + (high - low) * share)
            ratio = math.exp(least + (most - least) * aspect)
            h, w = round(math.sqrt(area / ratio)), round(math.sqrt(area * ratio))
            if 0 < h <= height and 0 < w <= width:
                return int(down * (height - h + 1)), int(right * (width - w + 1)), h, w
        # None fits: the largest central rectangle of an allowed aspect.
        h = min(height, max(round(width / self.ratio[0]), 1))
        w = min(width, max(round(height * self.ratio[1]), 1))
        return (height - h) // 2, (width - w) // 2, h, w

    def apply(self, images: torch.Tensor, keys: Keys, fill: tuple[int, ...]) -> torch.Tensor:
        """uint8 (N, C, R, R) changed, after the crop to `box` if there is one; holes take the pixel `fill` (C,).

        `images` is written to.
        """
        if not len(images):
            return images
        images = self._moved(images, keys)
        if self.policy != "none":
            images = self._policed(images, keys, fill)
        if self.erase:
            hole = torch.from_numpy(self._holes(keys, images.shape[-1]))[:, None]
            images = torch.where(hole, torch.tensor(fill, dtype=torch.uint8)[:, None, None], images)
        return images

    def _moved(self, images: torch.Tensor, keys: Keys) -> torch.Tensor:
        """Flip, then shift as one choice of rows and one of columns."""
        size = images.shape[-1]
        if self.flip:
            # One by one: a choice between all images and all their mirror images takes six times as long.
            for row in np.flatnonzero(uniforms(*keys, Purpose.FLIP)[:, 0] < 0.5).tolist():
                images[row] = images[row].flip(-1)
        if self.crop != "shift" or not self.shift:
            return images
        moves = np.floor(uniforms(*keys, Purpose.SHIFT, 2) * (2 * self.shift + 1)).astype(np.int64) - self.shift
        rows, columns = (np.arange(size) + moves[:, axis, None] for axis in (0, 1))
        images = _chosen(images, _reflected(rows, size), _reflected(columns, size))
        if self.pad == "reflect":
            return images
        inside = _inside(rows, size)[:, :, None] & _inside(columns, size)[:, None, :]
        return images * torch.from_numpy(inside)[:, None]

    def _policed(self, images: torch.Tensor, keys: Keys, fill: tuple[int, ...]) -> torch.Tensor:
        if self.policy == "autoaugment-v0":
            drawn = zip(images.numpy(), uniforms(*keys, Purpose.POLICY, DRAWS), strict=True)
            return torch.from_numpy(np.stack([policy_v0(image, draws, self.posterize) for image, draws in drawn]))
        policy = _policy(self.policy, fill, self.operations, self.magnitude)
        each = zip(images, hashes(*keys, Purpose.POLICY), strict=True)
        return torch.stack([_drawn(policy, image, state) for image, state in each])

    def _holes(self, keys: Keys, size: int) -> NDArray[np.bool_]:
        """True where erased, (N, R, R): sides uniform between 1 px and `erase_size` · R, anywhere inside."""
        draws = uniforms(*keys, Purpose.ERASE, 5)
        most = round(self.erase_size * size)
        sides = np.minimum(1 + np.floor(draws[:, 1:3] * most), most)
        starts = np.floor(draws[:, 3:5] * (size - sides + 1))
        steps = np.arange(size)
        inside = (steps >= starts[..., None]) & (steps < (starts + sides)[..., None])  # (N, 2, R)
        erased = draws[:, 0] < self.erase
        holes: NDArray[np.bool_] = inside[:, 0, :, None] & inside[:, 1, None, :] & erased[:, None, None]
        return holes


def _chosen(images: torch.Tensor, rows: Integers, columns: Integers) -> torch.Tensor:
    """images[n, c, rows[n, i], columns[n, j]], (N, C, R, R), through one flat index that channels share."""
    count, channels, size = images.shape[0], images.shape[1], images.shape[-1]
    flat = torch.from_numpy(rows[:, :, None] * size + columns[:, None, :]).reshape(count, 1, size * size)
    return images.reshape(count, channels, -1).gather(2, flat.expand(-1, channels, -1)).view(images.shape)


def _inside(places: Integers, size: int) -> NDArray[np.bool_]:
    return (places >= 0) & (places < size)


def _reflected(places: Integers, size: int) -> Integers:
    """−1 is 1 and `size` is `size` − 2: mirrored without repeating the border, as often as need be."""
    period = max(2 * (size - 1), 1)
    places = np.abs(places) % period
    return np.minimum(places, period - places) if size > 1 else places * 0


@lru_cache
def _policy(name: Policy, fill: tuple[int, ...], operations: int, magnitude: int) -> torch.nn.Module:
    known = {"autoaugment": v2.AutoAugment, "trivial": v2.TrivialAugmentWide}
    random = partial(v2.RandAugment, operations, magnitude)
    policy: torch.nn.Module = (random if name == "randaugment" else known[name])(fill=list(fill))
    return policy


def _drawn(policy: torch.nn.Module, image: torch.Tensor, state: Hashes) -> torch.Tensor:
    """(C, R, R) through torchvision's policy, whose generator is set for this image and put back after."""
    with torch.random.fork_rng(devices=[]):  # devices: the processor's only, not those that train beside us
        torch.default_generator.manual_seed(int(state))
        drawn: torch.Tensor = policy(image)
        return drawn
