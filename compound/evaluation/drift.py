"""How accurate a network is on images without labels, and what about them is other than before.

Two things are known without labels. How much less sure the network is: the accuracy on labelled images, moved by the
difference of mean confidences (Guillory et al. 2021), is what it would be if confidence stayed as calibrated as it was.
And how often it names each class: if classes come as often as before, at least the total variation distance of the two
distributions is wrong, however sure the network is. The estimate is the smaller. How far it is off when images get
worse is measured on the labelled ones (`compound.evaluation.robustness`), and is part of its interval.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import torch
from torch import Tensor

from compound.evaluation.statistics import newcombe

LEVEL = 0.05
MOST_MOVED = 10  # classes that are told


@dataclass(frozen=True)
class Check:
    """Labelled images made worse: their accuracy, and what the estimate says of it without their labels."""

    corruption: str
    severity: int
    top1: float
    estimated: float


@dataclass(frozen=True)
class Reference:
    """Labelled images that the network did not learn: its class, confidence, whether it is right, and brightness.

    `unknown`: the share that is refused, None of a network without a threshold. `weights`: of which it is.
    """

    weights: str
    names: tuple[str, ...]
    confidence: tuple[float, ...]
    right: tuple[bool, ...]
    brightness: tuple[float, ...]
    unknown: float | None
    checks: tuple[Check, ...] = ()

    @property
    def images(self) -> int:
        return len(self.right)

    @property
    def off(self) -> float:
        """The root of the estimate's mean squared error on images made worse."""
        squares = [(one.top1 - one.estimated) ** 2 for one in self.checks]
        return math.sqrt(sum(squares) / len(squares)) if squares else 0.0

    def answers(self) -> "Answers":
        return Answers(self.names, torch.tensor(self.confidence).double(), torch.tensor(self.right).double())

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> "Reference":
        """What `to_json` gave. Raises `ValueError`, `TypeError` or `KeyError` for anything else."""
        columns = [tuple(given[name]) for name in ("names", "confidence", "right", "brightness")]
        if len({len(column) for column in columns}) != 1 or not columns[0]:
            raise ValueError
        numbers = [float(one) for column in (columns[1], columns[3]) for one in column]
        if not all(0 <= one <= 1.001 for one in numbers):
            raise ValueError
        checks = tuple(Check(str(c["corruption"]), int(c["severity"]), float(c["top1"]), float(c["estimated"]))
                       for c in given["checks"])  # fmt: skip
        unknown = None if given["unknown"] is None else float(given["unknown"])
        names, right = tuple(map(str, columns[0])), tuple(map(bool, columns[2]))
        return cls(str(given["weights"]), names, columns[1], right, columns[3], unknown, checks)


@dataclass(frozen=True)
class Answers:
    """The class and the confidence of each image (n,), and of labelled images whether they are right."""

    names: Sequence[object]
    confidence: Tensor
    right: Tensor | None = None


def by_confidence(known: Answers, new: Answers) -> float:
    """The accuracy on labelled images, moved by the difference of the mean confidences."""
    assert known.right is not None
    return (known.right.mean() + new.confidence.mean() - known.confidence.mean()).clamp(0, 1).item()


def by_both(known: Answers, new: Answers) -> float:
    """The same, or one less the distance of how often classes are named, where that is less.

    From the square of the total variation distance that of the distance is taken which chance makes in the mean.
    """
    old, now = Counter(known.names), Counter(new.names)
    first, second = len(known.names), len(new.names)
    distance = chance = 0.0
    for name in old.keys() | now.keys():
        share = (old[name] + now[name]) / (first + second)
        distance += abs(old[name] / first - now[name] / second) / 2
        chance += math.sqrt(share * (1 - share) * (1 / first + 1 / second) / (2 * math.pi))
    return min(by_confidence(known, new), 1 - math.sqrt(max(distance**2 - chance**2, 0.0)))


@dataclass(frozen=True)
class Estimate:
    """Accuracy of `images` without labels, if classes come as often as before; `by_confidence`: if they do not.

    `interval`: 95 % of what chance and getting worse in the ways that were measured leave open.
    """

    top1: float
    interval: tuple[float, float]
    by_confidence: float
    images: int


def estimate(reference: Reference, names: Sequence[str], confidences: Sequence[float]) -> Estimate:
    """The accuracy on images of these classes and confidences, of the network of the reference."""
    known, new = reference.answers(), Answers(names, torch.tensor(confidences).double())
    assert known.right is not None
    spread = _variance(known.right - known.confidence) / len(known.names) + _variance(new.confidence) / len(names)
    top1, error = by_both(known, new), 1.96 * math.sqrt(spread + reference.off**2)
    return Estimate(top1, (max(top1 - error, 0.0), min(top1 + error, 1.0)), by_confidence(known, new), len(names))


@dataclass(frozen=True)
class Moved:
    """A figure of the labelled images and of the new ones, and the interval of the new less the old.

    `moved`: whether it is other, by an interval corrected for all figures that were compared.
    """

    what: str
    before: float
    now: float
    interval: tuple[float, float]

    @property
    def moved(self) -> bool:
        return not self.interval[0] <= 0 <= self.interval[1]

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"moved": self.moved}


def moved(
    reference: Reference,
    names: Sequence[str],
    confidences: Sequence[float],
    unknown: Sequence[bool],
    brightness: Sequence[float],
) -> list[Moved]:
    """Confidence, brightness, the share of unknown and that of each class, where they are known."""  # fmt: skip
    old, new = Counter(reference.names), Counter(names)
    classes = sorted(old.keys() | new.keys())
    several = len(classes) + 1 + bool(brightness) + (reference.unknown is not None and bool(unknown))
    z = NormalDist().inv_cdf(1 - LEVEL / 2 / several)
    found = [of_means("confidence", reference.confidence, confidences, z)]
    if brightness:
        found.append(of_means("brightness", reference.brightness, brightness, z))
    sizes = (reference.images, len(names))
    if reference.unknown is not None and unknown:
        found.append(of_shares("unknown", (reference.unknown, sum(unknown) / len(unknown)), sizes, z))
    shares = [of_shares(f"share of {name}", (old[name] / sizes[0], new[name] / sizes[1]), sizes, z) for name in classes]
    shares.sort(key=lambda one: (not one.moved, -abs(one.now - one.before)))
    return found + shares[:MOST_MOVED]


def of_shares(what: str, shares: tuple[float, float], sizes: tuple[int, int], z: float) -> Moved:
    """Of shares of as many images as `sizes` says, before and now."""
    before, now = shares
    return Moved(what, before, now, newcombe(now, sizes[1], before, sizes[0], z))


def of_means(what: str, before: Sequence[float], now: Sequence[float], z: float) -> Moved:
    """By Welch's interval, for as many images that their means are normal."""
    old, new = torch.tensor(before).double(), torch.tensor(now).double()
    first, second = old.mean().item(), new.mean().item()
    error = z * math.sqrt(_variance(old) / len(old) + _variance(new) / len(new))
    return Moved(what, first, second, (second - first - error, second - first + error))


def _variance(values: Tensor) -> float:
    """Of one value alone the largest that values from 0 to 1 can have."""
    return values.var().item() if len(values) > 1 else 0.25
