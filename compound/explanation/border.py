"""Whether a class rests on the border of its images: where the heat of its maps lies, which a mark in a corner shows.

Photos mostly show their object in the middle, and most of a map's heat lies there. A class that is known by a
watermark, a frame or the background has it at the border.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev
from typing import Any

import numpy as np
import torch
from torch import Tensor

from compound.data import Preprocessing, Source, make_loader, subset
from compound.execution import Execution
from compound.explanation.look import explain_prepared
from compound.explanation.score import energy_inside
from compound.inference import chunk_size
from compound.nn import ConvNet

WIDTH = 1 / 8  # of the side that the border takes on each edge
MORE = 1.1  # times the border's share of the area that its share of the heat must be
MOST = 1000  # images that are looked at, evenly taken
LEAST = 10  # images of a class below which nothing is said of it
LEVEL = 0.05
PLACES = (
    "top left", "top", "top right", "left", "middle", "right", "bottom left", "bottom", "bottom right",
)  # fmt: skip


@dataclass(frozen=True)
class Border:
    """Where the heat lies of the maps of a class, of `images` that the network takes for it.

    `energy`: the mean share of heat at the border, with its interval, of all `compared` classes together at 95 %;
    `area`: the share of the image that is border; `place`: the ninth of the image that is warmest.
    """

    name: str
    images: int
    energy: float
    interval: tuple[float, float]
    area: float
    place: str
    compared: int

    @property
    def shortcut(self) -> bool:
        """Whether there is more heat at the border than it would hold if heat lay evenly, as far as can be told."""
        return self.compared > 0 and self.interval[0] > self.area and self.energy > MORE * self.area

    def to_json(self) -> dict[str, Any]:
        return {
            "class": self.name,
            "images": self.images,
            "energy": self.energy,
            "energy_interval": list(self.interval) if self.compared else None,
            "area": self.area,
            "place": self.place,
            "compared": self.compared,
            "shortcut": self.shortcut,
        }


def borders(model: ConvNet, source: Source, names: tuple[str, ...], execution: Execution = Execution()) -> list[Border]:
    """Of each class of `names` that the network gives to one of up to `MOST` images or more, in their order.

    The maps are those of `explain` without a method.
    """
    rows = np.unique(np.linspace(0, len(source) - 1, min(MOST, len(source))).astype(np.int64))
    shares: dict[int, list[float]] = {}
    warmth: dict[int, Tensor] = {}
    area = 0.0
    for classes, heat in _maps(model, subset(source, rows), execution):
        ring = border_of(heat.shape[-1])
        area = ring.float().mean().item()
        energy = energy_inside(heat, ring.expand_as(heat))
        for one, share, warm in zip(classes.tolist(), energy.tolist(), heat, strict=True):
            if warm.sum() > 0:
                shares.setdefault(one, []).append(share)
                warmth[one] = (
                    warmth.get(one, 0) + torch.nn.functional.adaptive_avg_pool2d(warm[None], 3)[0] / warm.sum()
                )
    compared = sum(len(found) >= LEAST for found in shares.values())
    return [_told(names[one], shares[one], area, PLACES[int(warmth[one].argmax())], compared) for one in sorted(shares)]


def border_of(side: int) -> Tensor:
    """bool (side, side): within `WIDTH` of an edge."""
    width = max(round(side * WIDTH), 1)
    ring = torch.ones(side, side, dtype=torch.bool)
    ring[width : side - width, width : side - width] = False
    return ring


def _told(name: str, shares: list[float], area: float, place: str, compared: int) -> Border:
    mean = fmean(shares)
    if len(shares) < LEAST:
        return Border(name, len(shares), mean, (0.0, 1.0), area, place, 0)
    z = NormalDist().inv_cdf(1 - LEVEL / 2 / compared)
    error = z * stdev(shares) / len(shares) ** 0.5
    return Border(name, len(shares), mean, (mean - error, mean + error), area, place, compared)


def _maps(model: ConvNet, source: Source, execution: Execution) -> Iterator[tuple[Tensor, Tensor]]:
    """The most probable class of each image of a batch (N,), and the heat of its map (N, R, R), on the CPU."""
    damage, where = execution.damage_log(), execution.where
    model.to(where).to(memory_format=torch.channels_last)
    batch, preprocessing = chunk_size(model.network, where), Preprocessing.of(model.network)
    for one in make_loader(source, preprocessing, batch, workers=execution.workers_for(source)):
        damage.add(one)
        if len(one):
            images, found = explain_prepared(model, one.images.to(where))
            yield found.classes[:, 0].cpu(), found.heat(*images.shape[2:])[:, 0].cpu()
