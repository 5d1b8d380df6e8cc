"""Maps over photos as PNG files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from compound.data import DamageLog
from compound.explanation.draw import Panel, overlay, plain, save_sheet, sheet
from compound.explanation.look import Look, MapRequest, look
from compound.explanation.side_by_side import NamedNetwork, SideBySide
from compound.files import make_folder


@dataclass(frozen=True)
class DrawnLook:
    """One photo under one network, and the picture of it."""

    look: Look
    picture: Path


def write_pictures(
    network: NamedNetwork,
    photos: Sequence[Path],
    damage: DamageLog,
    asked: MapRequest,
    folder: Path,
    device: str = "auto",
) -> list[DrawnLook]:
    """A picture a photo in `folder`: the photo, and over it the map of each class."""
    make_folder(folder)
    drawn: list[DrawnLook] = []
    for seen in look(network.model, network.source(photos), damage, asked, device):
        panels = [Panel(plain(seen.image), Path(seen.path).name)]
        for number, probability, heat in zip(seen.classes, seen.probabilities, seen.heat, strict=True):
            panels.append(Panel(overlay(seen.image, heat), f"{network.classes[number]}  {probability:.1%}"))
        path = free_name(folder, Path(seen.path).stem, {one.picture for one in drawn})
        drawn.append(DrawnLook(seen, save_sheet(sheet([panels]), path)))
    return drawn


def write_comparison(found: SideBySide, folder: Path) -> Path:
    """comparison.png in `folder`: a row an image and class, a column a network."""
    return save_sheet(sheet(found.rows()), make_folder(folder) / "comparison.png")


def free_name(folder: Path, stem: str, taken: set[Path]) -> Path:
    """`stem`.png, numbered where an earlier image was called so too."""
    path, number = folder / f"{stem}.png", 2
    while path in taken:
        path, number = folder / f"{stem}-{number}.png", number + 1
    return path
