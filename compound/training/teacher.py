"""Distillation: another network's answers to the images a network is trained on."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from compound.data import DataSet, Preprocessing
from compound.errors import UsageError
from compound.nn import ConvNet, load_model
from compound.training.recipe import Recipe


class Teacher:
    """A trained network that is asked and never trained: no part of a training's state, so never copied or saved."""

    def __init__(self, model: ConvNet) -> None:
        self.model = model.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        self.preprocessing = Preprocessing.of(model.network)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Teacher":
        return self

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Logits (N, K) for the images the student sees, uint8 or float 0–1 (N, C, R, R), under its own normalisation.

        Images of another resolution than the teacher's are resized to it.
        """
        side = self.preprocessing.resolution
        if images.shape[-1] != side:
            images = F.resize(images, [side, side], antialias=True)
        pixels = self.preprocessing.normalise(images).contiguous(memory_format=torch.channels_last)
        logits: Tensor = self.model.to(images.device)(pixels)
        return logits


def find_teacher(recipe: Recipe, data: DataSet) -> Teacher | None:
    """The recipe's teacher, None without one; it must know the classes of `data`, in their order."""
    if recipe.teacher is None:
        return None
    path = Path(recipe.teacher)
    model, weights = load_model(path / "model.safetensors" if path.is_dir() else path)
    if weights.classes != data.classes:
        raise UsageError(
            f"teacher {path} knows {_few(weights.classes)} and {data.name} has {_few(data.classes)}; "
            "distil from a run on the same classes"
        )
    if weights.channels != data.channels:
        raise UsageError(
            f"teacher {path} takes {weights.channels} channels and {data.name} has {data.channels}; "
            f"use --channels {weights.channels}"
        )
    return Teacher(model)


def _few(classes: tuple[str, ...]) -> str:
    return f"{', '.join(classes[:3])}{' …' if len(classes) > 3 else ''} ({len(classes)} classes)"
