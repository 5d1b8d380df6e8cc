"""Where the object is: boxes or masks from a CSV file, as a mask of the image."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from compound.bounds import bound
from compound.data.lists import PATH, ImageList
from compound.data.unpack import PIXEL_LIMIT, Unreadable, opened
from compound.errors import UsageError
from compound.files import read_regular

SIDES = ("left", "top", "right", "bottom")


@dataclass(frozen=True)
class Region:
    """A box in pixels of the upright image (right and bottom excluded), or a picture that is bright on the object."""

    where: str
    box: tuple[float, float, float, float] | None
    mask: Path | None

    def draw(self, canvas: Tensor) -> None:
        """Add the region to `canvas`, uint8 (1, H, W), as 255."""
        height, width = canvas.shape[1:]
        if self.box:
            left, top, right, bottom = (max(round(value), 0) for value in self.box)
            if left >= min(right, width) or top >= min(bottom, height):
                raise UsageError(f"{self.where}: the box lies outside the image of {width}×{height} px, or is empty")
            canvas[:, top:bottom, left:right] = 255
        if self.mask:
            try:
                picture = opened(read_regular(self.mask, bound("COMPOUND_MAX_IMAGE")), PIXEL_LIMIT)
                pixels = torch.from_numpy(np.array(picture.convert("L")))
            except (OSError, ValueError, Unreadable) as error:
                reason = getattr(error, "strerror", None) or "it is no image, or a damaged one"
                raise UsageError(f"{self.where}: cannot read the mask {self.mask}: {reason}") from None
            if pixels.shape != canvas.shape[1:]:
                found = f"{pixels.shape[1]}×{pixels.shape[0]}"
                raise UsageError(f"{self.where}: mask {self.mask} has {found} px and the image {width}×{height}")
            canvas[0][pixels > 127] = 255


def read_regions(path: Path) -> dict[str, list[Region]]:
    """Regions by the file name of their image.

    The CSV has the column path and either left, top, right, bottom or mask (a file beside the CSV). Several rows of
    one image are one region. Raises `UsageError` for what is no such list, or damaged.
    """
    found: dict[str, list[Region]] = {}
    given = ImageList(path)
    at, mask, sides = given.find(PATH), given.find(("mask",)), [given.find((side,)) for side in SIDES]
    if at is None or (mask is None and None in sides):
        raise given.lacks(f"path and {', '.join(SIDES)}, or path and mask,")
    for line in given:
        if not line.get(at).strip():
            raise UsageError(f"{line.where} names no image; fill in path, or remove the line")
        region = _region(line.where, line.get(mask).strip(), [line.get(side) for side in sides], path.parent)
        found.setdefault(Path(line.get(at).strip()).name, []).append(region)
    return found


def region_mask(regions: list[Region], height: int, width: int) -> Tensor:
    """uint8 (1, H, W): 255 within the regions and 0 elsewhere."""
    canvas = torch.zeros(1, height, width, dtype=torch.uint8)
    for region in regions:
        region.draw(canvas)
    return canvas


def _region(where: str, mask: str, sides: list[str], folder: Path) -> Region:
    if mask:
        return Region(where, None, folder / mask)
    try:
        left, top, right, bottom = map(float, sides)
    except ValueError:
        raise UsageError(f"{where}: {', '.join(SIDES)} must be pixels, such as 10,20,110,220") from None
    return Region(where, (left, top, right, bottom), None)
