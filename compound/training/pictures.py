"""Pictures of what a run is trained on: a contact sheet, and images as augmentation makes them."""

import math

import torch
from torchvision.transforms.v2 import functional as F

from compound.data import DataSet, Preprocessing, make_loader
from compound.data.decode import to_channels
from compound.data.sheet import write_contact_sheet
from compound.files import write_with
from compound.training.run import Run

SHEET, BATCH = "data.png", "batch.png"  # in a run
CLASSES = 12  # of the sheet
SHOWN, COLUMNS, SIDE = 32, 8, 96  # images of a batch, in a row, and px of one: at most, and small ones about as many


def write_pictures(run: Run, data: DataSet) -> None:
    """Write `SHEET` and `BATCH` into the run; `data` in its parts."""
    write_contact_sheet(data, run.folder / SHEET, CLASSES)
    images, times = first_images(run, data), max(SIDE // run.network.resolution, 1)
    picture = F.to_pil_image(images.repeat_interleave(times, 1).repeat_interleave(times, 2))
    write_with(run.folder / BATCH, lambda temporary: picture.save(temporary, format="PNG"))


def first_images(run: Run, data: DataSet) -> torch.Tensor:
    """uint8 (3, H, W): the first images of the first step, as augmentation made them, before any are mixed."""
    recipe = run.recipe
    loader = make_loader(
        data.train, Preprocessing.of(run.network), min(SHOWN, recipe.batch), augment=recipe.augment, shuffle=True,
        seed=run.seed, repeats=recipe.repeats,
    )  # fmt: skip
    images = to_channels(next(iter(loader)).images, 3)
    if images.shape[-1] > SIDE:
        images = F.resize(images, [SIDE, SIDE], antialias=True)
    rows = math.ceil(len(images) / COLUMNS)
    blank = torch.full((rows * COLUMNS - len(images), *images.shape[1:]), 255, dtype=torch.uint8)
    tiles = torch.cat([images, blank]).reshape(rows, COLUMNS, *images.shape[1:])
    return torch.cat([torch.cat(list(row), dim=2) for row in tiles], dim=1)
