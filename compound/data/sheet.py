"""A contact sheet: some images of each class in a row, with its name."""

from pathlib import Path

import numpy as np
import torch
from torchvision.transforms.v2 import functional as F

from compound.data.decode import to_channels
from compound.data.errors import DamagedImage
from compound.data.open import DataSet
from compound.files import write_with
from compound.lettering import lettered

MOST_CLASSES = 40
COLUMNS, SIDE = 8, 64  # images of a class, and px of one
NAMES = 160  # px of the names' column
NAMED = NAMES / (NAMES + COLUMNS * SIDE)  # of the width of a sheet with names
LONGEST = 24  # letters of a name that fit it


def write_contact_sheet(data: DataSet, path: Path, classes: int = MOST_CLASSES) -> Path:
    """`contact_sheet` with the names of the classes as a PNG file."""
    sheet = contact_sheet(data, classes=classes)
    picture = F.to_pil_image(torch.cat([names_column(data.classes[:classes], sheet.shape[1]), sheet], dim=2))
    return write_with(path, lambda temporary: picture.save(temporary, format="PNG"))


def contact_sheet(
    data: DataSet, *, classes: int = MOST_CLASSES, columns: int = COLUMNS, side: int = SIDE
) -> torch.Tensor:
    """uint8 (3, H, W): a row of training images for each of up to `classes` classes, each fitted into a square of
    `side`."""
    rows = []
    for number in range(min(len(data.classes), classes)):
        tiles: list[torch.Tensor] = []
        labels = data.train.labels
        there = labels[:, number] > 0 if labels.ndim == 2 else labels == number
        for index in np.flatnonzero(there).tolist():
            if len(tiles) == columns:
                break
            try:
                tiles.append(_tile(data.train.load(index), side))
            except DamagedImage:
                continue
        tiles += [torch.full((3, side, side), 255, dtype=torch.uint8)] * (columns - len(tiles))
        rows.append(torch.cat(tiles, dim=2))
    return torch.cat(rows, dim=1)


def names_column(classes: tuple[str, ...], height: int) -> torch.Tensor:
    """uint8 (3, `height`, `NAMES`): the names one under the other, black on white."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(NAMES / 100, height / 100), dpi=100, facecolor="white")
    for number, name in enumerate(classes):
        words = lettered(name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…")
        where = 1 - (number + 0.5) / len(classes)
        figure.text(0.97, where, words.text, ha="right", va="center", fontsize=7, **words.style)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    drawn = torch.from_numpy(np.asarray(canvas.buffer_rgba())[:height, :NAMES, :3].copy())
    return drawn.permute(2, 0, 1)


def _tile(image: torch.Tensor, side: int) -> torch.Tensor:
    height, width = image.shape[-2:]
    size = [max(round(each * side / max(height, width)), 1) for each in (height, width)]
    small = F.resize(to_channels(image, 3), size, antialias=True)
    tile = torch.full((3, side, side), 255, dtype=torch.uint8)
    top, left = (side - size[0]) // 2, (side - size[1]) // 2
    tile[:, top : top + size[0], left : left + size[1]] = small
    return tile
