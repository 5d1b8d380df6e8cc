"""What a network says of the images of a batch, for all of them at once: an operator of torch costs a small network as
much for one image as for thirty."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from compound.deploy.predict import judged
from compound.inference import as_probabilities, brightness_of
from compound.nn import Weights

Named = tuple[int, str, float]  # a class: its index, its name, its probability


class Said(NamedTuple):
    """Of one image: its most probable classes, best first, those that are `among` its set, and whether it is of any.

    `light`: the mean of the image as the network received it, from 0 to 1. The others are those of `answers.Answer`.
    """

    best: list[Named]
    among: list[Named] | None
    score: float | None
    unknown: bool | None
    light: float


def said_of(logits: Tensor, pixels: Tensor, described: Weights, tops: Sequence[int]) -> list[Said | None]:
    """What logits (N, classes) say of uint8 pixels (N, C, R, R), each asked for so many classes; None where they are no
    numbers. The digits are those of `compound.deploy.predict`."""
    classes, sets = described.classes, described.sets
    probabilities = as_probabilities(logits, described.several)
    found = logits.isfinite().all(1).tolist()
    strange, light = judged(logits, described.unknown), brightness_of(pixels).tolist()
    inside: list[list[bool] | None] = sets.chosen(probabilities).tolist() if sets else [None] * len(logits)
    named = [list[Named]()] * len(logits)
    for top in set(tops):
        rows = [row for row, asked in enumerate(tops) if asked == top]
        part = probabilities if len(rows) == len(logits) else probabilities[torch.tensor(rows)]
        best = part.topk(len(classes) if sets else min(top, len(classes)))
        for row, indices, values in zip(rows, best.indices.tolist(), best.values.tolist(), strict=True):
            named[row] = [(index, classes[index], p) for index, p in zip(indices, values, strict=True)]
    return [
        Said(named[row][: tops[row]], _among(named[row], inside[row]), *strange[row], light[row])
        if found[row]
        else None
        for row in range(len(logits))
    ]


def _among(named: list[Named], inside: list[bool] | None) -> list[Named] | None:
    return None if inside is None else [one for one in named if inside[one[0]]]
