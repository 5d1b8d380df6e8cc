"""Photos under a network: maps, probabilities and scores, image by image."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from compound.data import DamageLog, Preprocessing, Source, make_loader
from compound.execution import pick_device
from compound.explanation.boxes import Region, region_mask
from compound.explanation.maps import Explanation, Method, explain
from compound.explanation.score import deletion_insertion, energy_inside
from compound.inference import refuse_no_numbers
from compound.nn import ConvNet

SCORES = ("energy", "area", "deletion", "insertion")


@dataclass(frozen=True)
class Look:
    """One image under one network, R its resolution, for K classes.

    `image` uint8 (C, R, R) is what the network received; `heat` (K, R, R) is from 0 to 1; `scores` has, for each
    class, `deletion` and `insertion` if asked for, `energy` and, to compare with, the `area` of the regions if given.
    """

    path: str
    image: Tensor
    classes: list[int]
    probabilities: list[float]
    heat: Tensor
    method: Method
    scores: list[dict[str, float]]

    def to_json(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """The classes with index, name, probability and scores."""
        return [
            {"index": index, "name": names[index], "probability": probability, **scores}
            for index, probability, scores in zip(self.classes, self.probabilities, self.scores, strict=True)
        ]


@dataclass(frozen=True)
class MapRequest:
    """What is asked about images: `classes` (images of the source, K), or else the `top` most probable ones of each.

    `layer`: whose maps, see `explain`. `regions` by file name and `areas` say which scores are counted.
    """

    classes: Tensor | None = None
    top: int = 1
    method: Method | None = None
    layer: str | None = None
    regions: Mapping[str, list[Region]] | None = None
    areas: bool = False


def look(model: ConvNet, source: Source, damage: DamageLog, asked: MapRequest, device: str = "auto") -> Iterator[Look]:
    """Every readable image of `source` in order; damaged ones go to `damage`."""
    where = pick_device(device)
    preprocessing = Preprocessing.of(model.network)
    model.to(where).to(memory_format=torch.channels_last)
    for batch in make_loader(source, preprocessing, 1):  # no digit depends on which other images are asked for
        damage.add(batch)
        if not len(batch):
            continue
        chosen = None if asked.classes is None else asked.classes[batch.indices].to(where)
        images, found = explain_prepared(
            model, batch.images.to(where), chosen, top=asked.top, method=asked.method, layer=asked.layer
        )
        refuse_no_numbers(model.network, found.logits, [source.path(index) for index in batch.indices.tolist()])
        heat = found.heat(*images.shape[2:])
        scores: list[list[dict[str, float]]] = [[{} for _ in row] for row in found.classes]
        if asked.areas:
            for column in range(heat.shape[1]):
                curves = deletion_insertion(model, images, heat[:, column], found.classes[:, column])
                for row, pair in enumerate(zip(curves.deletion.tolist(), curves.insertion.tolist(), strict=True)):
                    scores[row][column] |= dict(zip(("deletion", "insertion"), pair, strict=True))
        for row, index in enumerate(batch.indices.tolist()):
            path = source.path(index)
            here = (asked.regions or {}).get(Path(path).name)
            if here:
                mask = seen_mask(here, source.load(index), preprocessing).to(where)
                energies = energy_inside(heat[row], mask.expand_as(heat[row])).tolist()
                for one, energy in zip(scores[row], energies, strict=True):
                    one |= {"energy": energy, "area": mask.float().mean().item()}
            yield Look(
                path,
                batch.images[row],
                found.classes[row].tolist(),
                found.probabilities[row].tolist(),
                heat[row].cpu(),
                found.method,
                scores[row],
            )


def explain_prepared(
    model: ConvNet,
    pixels: Tensor,
    classes: Tensor | None = None,
    *,
    top: int = 1,
    method: Method | None = None,
    layer: str | None = None,
) -> tuple[Tensor, Explanation]:
    """Images as `Preprocessing.resize` gives them, uint8 (N, C, R, R) on the model's device, as the network's input
    (N, C, R, R), and their maps; see `explain`."""
    images = Preprocessing.of(model.network).normalise(pixels).contiguous(memory_format=torch.channels_last)
    return images, explain(model, images, classes, top=top, method=method, layer=layer)


def seen_mask(regions: list[Region], image: Tensor, preprocessing: Preprocessing) -> Tensor:
    """The regions of `image` (C, H, W) in what the network receives of it, bool (1, R, R)."""
    mask = region_mask(regions, *image.shape[1:])
    flat = Preprocessing(preprocessing.resolution, 1, preprocessing.inputs)
    return flat.resize(mask) > 127


def mean_scores(looks: Sequence[Look]) -> dict[str, float]:
    """The mean of each score, and of the probability, over all images and classes that have it."""
    found = {"probability": fmean(value for one in looks for value in one.probabilities)}
    for name in SCORES:
        values = [scores[name] for one in looks for scores in one.scores if name in scores]
        if values:
            found[name] = fmean(values)
    return found
