"""Several networks on the same photos, asked about the same classes: Figure 7 of the paper."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from compound.data import DamageLog, Source, pictures_of
from compound.errors import CompoundError, UsageError
from compound.execution import Execution
from compound.explanation.draw import Panel, overlay, plain
from compound.explanation.look import Look, MapRequest, look, mean_scores
from compound.inference import classify
from compound.nn import ConvNet


class NamedNetwork(NamedTuple):
    """A network with what pictures call it, and the names of its classes."""

    name: str
    model: ConvNet
    classes: tuple[str, ...]

    def source(self, photos: Sequence[Path]) -> Source:
        return pictures_of(photos, self.model.channels)


@dataclass(frozen=True)
class SideBySide:
    """What each network sees. `looks` has for each network the same images, each with the same classes."""

    networks: tuple[NamedNetwork, ...]
    looks: tuple[tuple[Look, ...], ...]

    @property
    def images(self) -> int:
        return len(self.looks[0])

    def rows(self) -> list[list[Panel]]:
        """A row an image and class: the photo as the network of largest resolution receives it, then every map."""
        names, rows = self.networks[0].classes, []
        for under in zip(*self.looks, strict=True):
            widest = max(under, key=lambda seen: seen.image.shape[-1])
            for place, number in enumerate(under[0].classes):
                row = [Panel(plain(widest.image), names[number])]
                for one, seen in zip(self.networks, under, strict=True):
                    title = f"{one.name}\n{seen.probabilities[place]:.1%}{inside(seen.scores[place])}"
                    row.append(Panel(overlay(seen.image, seen.heat[place]), title))
                rows.append(row)
        return rows

    def scores(self) -> list[dict[str, float]]:
        """Each network's mean probability and scores."""
        return [mean_scores(each) for each in self.looks]


def side_by_side(
    networks: Sequence[NamedNetwork], photos: Sequence[Path], damage: DamageLog, asked: MapRequest, device: str = "auto"
) -> SideBySide:
    """Every network on all readable photos; damaged ones go to `damage`.

    Without classes, each photo's are the `top` most probable ones by the sum of all networks' probabilities.
    """
    for one in networks:
        if one.classes != networks[0].classes:
            raise UsageError(
                f"{networks[0].name} and {one.name} know different classes, so their maps cannot be compared"
            )
    sources = [one.source(photos) for one in networks]
    if asked.classes is None:
        asked = replace(asked, classes=most_probable(networks, sources, damage, asked.top, device))
    looks = tuple(
        tuple(look(one.model, source, damage, asked, device)) for one, source in zip(networks, sources, strict=True)
    )
    if not looks[0]:
        raise CompoundError("not one image could be read; check the paths and the files")
    return SideBySide(tuple(networks), looks)


def most_probable(
    networks: Sequence[NamedNetwork], sources: Sequence[Source], damage: DamageLog, top: int, device: str
) -> Tensor:
    """(images, `top`)"""
    total = torch.zeros(len(sources[0]), len(networks[0].classes))
    for one, source in zip(networks, sources, strict=True):
        for probabilities, _, places in classify(one.model, source, damage, Execution(device, workers=0)):
            total[places] += probabilities
    return total.topk(min(top, total.shape[1])).indices


def inside(scores: dict[str, Any]) -> str:
    """How much of the heat lies on the object, where that is known."""
    return f", {scores['energy']:.0%} inside" if "energy" in scores else ""
