"""Maps over their images, side by side as one picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch.nn.functional as F
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from compound.files import write_with
from compound.lettering import lettered

# Nothing stays transparent, so that the image is seen; lightness grows with the value, for every kind of eye.
HEAT = LinearSegmentedColormap.from_list(
    "heat",
    [(0.0, (0.15, 0.05, 0.45, 0.0)), (0.25, (0.3, 0.05, 0.55, 0.35)), (0.5, (0.8, 0.1, 0.4, 0.55)),
     (0.75, (0.98, 0.5, 0.1, 0.65)), (1.0, (1.0, 0.95, 0.4, 0.75))],
)  # fmt: skip
SHOWN = 224  # px an image has at least in a picture


class Panel(NamedTuple):
    """One image of a sheet, float RGB (H, W, 3) from 0 to 1, with the words above it."""

    pixels: NDArray[np.float32]
    title: str


def overlay(image: Tensor, heat: Tensor) -> NDArray[np.float32]:
    """Heat (R, R) from 0 to 1 over the image, uint8 (1 or 3, R, R): float RGB (S, S, 3), S at least SHOWN."""
    picture = plain(image)
    side = picture.shape[0]
    warm = F.interpolate(heat[None, None].float(), (side, side), mode="bilinear", align_corners=False)[0, 0]
    colours = HEAT(warm.clamp(0, 1).cpu().numpy()).astype(np.float32)
    alpha = colours[..., 3:]
    mixed: NDArray[np.float32] = picture * (1 - alpha) + colours[..., :3] * alpha
    return mixed


def plain(image: Tensor) -> NDArray[np.float32]:
    """The image, uint8 (C, R, R), as float RGB (S, S, 3): small ones enlarged by whole pixels.

    Of more than three channels the first three are shown, of two the first.
    """
    times = -(-SHOWN // image.shape[-1])
    shown = image[: 3 if len(image) > 2 else 1].expand(3, -1, -1)
    large = shown.repeat_interleave(times, 1).repeat_interleave(times, 2)
    return (large.permute(1, 2, 0).float() / 255).cpu().numpy()


def in_bytes(picture: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Float RGB from 0 to 1 as an image file has it, 0 to 255."""
    return (picture.clip(0, 1) * 255).round().astype(np.uint8)


def sheet(rows: Sequence[Sequence[Panel]], footer: str = "") -> Figure:
    """All panels, a row a line, each with its title."""
    columns = max(map(len, rows))
    figure = Figure(figsize=(2.3 * columns, 2.55 * len(rows) + (0.4 if footer else 0)), layout="constrained")
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for line, panels in zip(grid, rows, strict=True):
        for axes, panel in zip(line, panels, strict=False):
            axes.imshow(panel.pixels.clip(0, 1), interpolation="antialiased")
            title = lettered(panel.title)
            axes.set_title(title.text, fontsize=8.5, **title.style)
    if footer:
        words = lettered(footer)
        figure.supxlabel(words.text, fontsize=8.5, **words.style)
    return figure


def save_sheet(figure: Figure, path: Path) -> Path:
    """Write the picture as PNG."""
    return write_with(path, lambda temporary: figure.savefig(temporary, format="png", dpi=110))
