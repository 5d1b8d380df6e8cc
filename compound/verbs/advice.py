"""What to expect of few images that are learned from nothing, and the command that promises more."""

import shlex
from statistics import median
from typing import TYPE_CHECKING

from compound.cost import cost
from compound.network import Network

if TYPE_CHECKING:
    from compound.data import DataSet
    from compound.training import Recipe, Setup

FEW = 100  # images a class
PHOTOS = 64  # px; published weights have learned from larger images than those


def advice(network: Network, images: "DataSet", recipe: "Recipe", setup: "Setup") -> list[str]:
    """A sentence for a training from nothing on few photos a class; none for any other."""
    import numpy as np

    from compound.training.start import FRESH

    if setup.start != FRESH or setup.resume or recipe.teacher is not None or images.several or not len(images.train):
        return []
    each = median(np.bincount(images.train.labels, minlength=len(images.classes)).tolist())
    if each >= FEW or not _is_photos(images):
        return []
    minutes = f" --minutes {recipe.minutes:g}" if recipe.minutes else ""
    budget = f"--macs {_rounded_up(cost(network).macs)}"
    where = shlex.quote(images.spec.where)
    return [
        f"{each:g} training images a class are few to learn from nothing: expect far less than from published weights, "
        f"which know photos already; within the same cost: compound fit {where} --weights auto {budget}{minutes}"
    ]


def _is_photos(images: "DataSet") -> bool:
    from compound.data.readable import first_readable

    channels, height, width = first_readable(images.train).shape
    return channels == 3 and max(height, width) > PHOTOS


def _rounded_up(macs: int) -> str:
    """Multiply-adds as `--macs` takes them, in millions and never fewer."""
    return f"{-(-macs // 10**6)}M"
