"""Accuracy on images made worse as the network sees them: corruptions of ImageNet-C (Hendrycks & Dietterich 2019).

Constants are those of the paper's code for 224 px, severities 1 to 5; the blur's width is in proportion to the side,
and images are reflected at their edges where that code repeats the last pixel.
"""

import io
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from compound.data import Preprocessing, Source, make_loader, subset
from compound.evaluation.statistics import wilson
from compound.execution import Execution
from compound.inference import Eager, chunk_size, in_chunks
from compound.nn import ConvNet, evaluating

SIDE = 224  # px for which the widths of blurs are given
SEVERITIES = (1, 3, 5)
MOST = 1000  # images that are looked at, evenly taken


def noise(images: Tensor, severity: int, numbers: list[int]) -> Tensor:
    """Gaussian noise, of each image by its own number."""
    deviation = 255 * (0.08, 0.12, 0.18, 0.26, 0.38)[severity - 1]
    made = [torch.randn(images.shape[1:], generator=torch.Generator().manual_seed(number)) for number in numbers]
    return (images + deviation * torch.stack(made)).round().clamp(0, 255).to(torch.uint8)


def blur(images: Tensor, severity: int, numbers: list[int]) -> Tensor:
    """Gaussian blur, cut off at four deviations."""
    side = images.shape[-1]
    deviation = _width(severity, side)
    reach = min(math.ceil(4 * deviation), side - 1)
    blurred: Tensor = F.gaussian_blur(images, [2 * reach + 1, 2 * reach + 1], [deviation, deviation])
    return blurred


def _width(severity: int, side: int) -> float:
    """The deviation of a blur in px."""
    return (1, 2, 3, 4, 6)[severity - 1] * side / SIDE


def shows(name: str, severity: int, side: int) -> bool:
    """Whether a corruption can change images of `side` px: a blur much narrower than a pixel rounds to what was."""
    neighbour = math.exp(-1 / (2 * _width(severity, side) ** 2))  # its share beside the pixel's own
    return name != "Gaussian blur" or 255 * 4 * neighbour >= 0.5


def jpeg(images: Tensor, severity: int, numbers: list[int]) -> Tensor:
    """JPEG of low quality, of one or three channels; others stay as they are."""
    quality = (25, 18, 15, 10, 7)[severity - 1]
    if images.shape[1] not in (1, 3):
        return images
    return torch.stack([_recoded(image, quality) for image in images])


def _recoded(image: Tensor, quality: int) -> Tensor:
    from PIL import Image

    file = io.BytesIO()
    F.to_pil_image(image).save(file, "JPEG", quality=quality)
    pixels = np.array(Image.open(file))
    return torch.from_numpy(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1).copy())


def brightness(images: Tensor, severity: int, numbers: list[int]) -> Tensor:
    """More of the V of HSV: every channel grows in proportion, black becomes grey."""
    more = (0.1, 0.2, 0.3, 0.4, 0.5)[severity - 1]
    values = images.float() / 255
    top = values.amax(1, keepdim=True)
    bright = (top + more).clamp_max(1)
    scaled = torch.where(top > 0, values * bright / top.clamp_min(1e-9), bright.expand_as(values))
    return (255 * scaled).round().clamp(0, 255).to(torch.uint8)


Corruption = Callable[[Tensor, int, list[int]], Tensor]
CORRUPTIONS: dict[str, Corruption] = {
    "Gaussian noise": noise,
    "Gaussian blur": blur,
    "JPEG": jpeg,
    "brightness": brightness,
}


@dataclass(frozen=True)
class Worse:
    """Top-1 on `images` images under one corruption."""

    corruption: str
    severity: int
    top1: float
    images: int

    def to_json(self) -> dict[str, Any]:
        return {
            "corruption": self.corruption,
            "severity": self.severity,
            "top1": self.top1,
            "top1_interval": list(wilson(self.top1, self.images)),
            "images": self.images,
        }


def robustness(model: ConvNet, source: Source, execution: Execution = Execution()) -> list[Worse]:
    """Accuracy on up to `MOST` images under each corruption and severity that can change their pixels.

    The model is left in the mode it was in.
    """
    rows = np.unique(np.linspace(0, len(source) - 1, min(MOST, len(source))).astype(np.int64))
    side = model.network.resolution
    asked = [(name, severity) for name in CORRUPTIONS for severity in SEVERITIES if shows(name, severity, side)]
    right, images = dict.fromkeys(asked, 0), 0
    for one, found in answers(model, subset(source, rows), asked, execution):
        images += len(one)
        for key, logits in found.items():
            right[key] += int((logits.argmax(1) == one).sum())
    return [Worse(*key, right[key] / max(images, 1), images) for key in asked]


def answers(
    model: ConvNet, source: Source, asked: list[tuple[str, int]], execution: Execution
) -> Iterator[tuple[Tensor, dict[tuple[str, int], Tensor]]]:
    """Labels of a batch (N,), and the logits under each corruption that is asked for, (N, classes).

    Of severity 0 are the images as they are.
    """
    damage = execution.damage_log()
    with evaluating(model):
        eager, chunk = Eager(model, execution.where), chunk_size(model.network, execution.where)
        for batch in make_loader(source, Preprocessing.of(model.network), max(execution.batch, chunk)):
            damage.add(batch)
            if not len(batch.labels):
                continue
            places, numbers = torch.arange(len(batch.labels)), batch.indices.tolist()
            found = {}
            for name, severity in asked:
                worse = CORRUPTIONS[name](batch.images, severity, numbers) if severity else batch.images
                found[name, severity] = in_chunks(eager, worse, places, chunk)
            yield batch.labels, found
