"""When a network says that an image is none of its classes: a score of the logits, and the least that is accepted.

N images, K classes
"""

import json
import math
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from compound.errors import UsageError
from compound.nn.fitted import read_fitted

ENERGY, MAX_LOGIT, LIKELIHOOD = "energy", "max-logit", "likelihood"
FLOOR = math.log(1e-30)  # of log-probabilities: below it those of single precision are no numbers any more
LEAST = 1e-3  # deviation of a log-probability: a network that is always as sure
MOST_CLASSES = 100  # of which it is kept what a network usually says: 2 · 100² numbers with every file
COMMON = 10  # images' worth of the deviation that all classes have in common, in that of each
AT_ONCE = 256  # images: of 100 classes 20 MB
Rows = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Usual:
    """What a network usually says: for each class that it names, mean and deviation of the K log-probabilities.

    Both (classes it named, K). A stranger gets others than images of any class, however high the highest is. Deviations
    of a class are those that classes have in common as far as it has few images.
    """

    means: Rows
    deviations: Rows

    @classmethod
    def of(cls, log_probabilities: Tensor) -> "Usual":
        """Of images like those of the classes (N, K), by the class that each is named; to six digits."""
        rows = log_probabilities.double().clamp_min(FLOOR)
        named, places = rows.argmax(1).unique(return_inverse=True)
        counts = torch.bincount(places)[:, None]
        sums = rows.new_zeros(len(named), rows.shape[1])
        means = sums.index_add(0, places, rows) / counts
        squares = sums.index_add(0, places, (rows - means[places]) ** 2)
        own = torch.zeros_like(squares).scatter_(1, named[:, None], 1).bool()  # its probability, and those of others
        common = torch.where(own, squares[own].sum(), squares[~own].sum() / max(rows.shape[1] - 1, 1)) / len(rows)
        deviations = ((squares + COMMON * common) / (counts + COMMON)).sqrt().clamp_min(LEAST)
        return cls(short_rows(means), short_rows(deviations))

    @cached_property
    def _parts(self) -> tuple[Tensor, Tensor]:
        means, deviations = (torch.tensor(each, dtype=torch.double) for each in (self.means, self.deviations))
        return means, deviations

    def likelihood(self, log_probabilities: Tensor) -> Tensor:
        """Of (N, K), (N,): log of the density of a normal distribution of independent log-probabilities, but for its
        constant, of the class whose is the greatest.

        Summed image by image, as a product of matrices is not: no digit depends on which others were asked with it.
        """
        means, deviations = self._parts
        alone = deviations.log().sum(1)
        parts = [
            (-(((rows[:, None] - means) / deviations) ** 2).sum(2) / 2 - alone).amax(1)
            for rows in log_probabilities.clamp_min(FLOOR).split(AT_ONCE)
        ]
        return torch.cat(parts)

    @classmethod
    def parse(cls, given: Any) -> "Usual":
        """Raises `ValueError` for rows that are of no probabilities, `TypeError` and `KeyError` for what is no rows."""
        means, deviations = (tuple(tuple(map(float, row)) for row in given[name]) for name in ("means", "deviations"))
        lengths = {len(row) for row in (*means, *deviations)}
        possible = all(FLOOR - 1 <= value <= 0 for row in means for value in row)
        possible = possible and all(LEAST <= value < -FLOOR for row in deviations for value in row)
        if len(means) != len(deviations) or len(lengths) != 1 or not possible:
            raise ValueError
        return cls(means, deviations)


def short_rows(values: Tensor) -> Rows:
    return tuple(tuple(float(f"{value:.6g}") for value in row) for row in values.tolist())


@dataclass(frozen=True)
class Unknown:
    """An image whose score is below `least` is none of the classes.

    Of images that are, a share of at most `refused` falls below it in the mean: `least` was chosen on `images` ones
    that the network did not learn. `score`: ENERGY, MAX_LOGIT, or LIKELIHOOD by what is `usual`.
    """

    least: float
    refused: float
    images: int
    score: str = ENERGY
    usual: Usual | None = None

    def scores(self, logits: Tensor) -> Tensor:
        """Of logits (N, K), (N,) in double precision: the less, the stranger."""
        energies = logits.double().logsumexp(1)
        return self.scored(logits.double() - energies[:, None], energies)

    def scored(self, log_probabilities: Tensor, energies: Tensor) -> Tensor:
        """The same of log-probabilities (N, K) and log Σ exp of the logits (N,), both in double precision."""
        if self.score == ENERGY:  # minus the energy of Liu et al. 2020, Equation 4, at T = 1
            return energies
        if self.score == MAX_LOGIT:  # Hendrycks et al. 2022, Section 3
            return log_probabilities.amax(1) + energies
        assert self.usual is not None
        return self.usual.likelihood(log_probabilities)

    def told(self) -> dict[str, Any]:
        """The threshold as plain values, without what is usual."""
        return {"least": self.least, "refused": self.refused, "images": self.images, "score": self.score}

    def dump(self) -> str:
        return json.dumps(self.told() | ({} if self.usual is None else {"usual": asdict(self.usual)}))

    @classmethod
    def parse(cls, text: str, classes: int) -> "Unknown":
        """What `dump` wrote of a network of so many classes. Raises `ValueError`, `TypeError` or `KeyError` for
        anything else."""
        given: Any = json.loads(text)
        score = given["score"]
        names = {"least", "refused", "images", "score"} | ({"usual"} if score == LIKELIHOOD else set())
        least, refused, images = read_fitted(given, names, "least", "refused")
        usual = Usual.parse(given["usual"]) if score == LIKELIHOOD else None
        fits = usual is None or (len(usual.means) <= classes and len(usual.means[0]) == classes)
        if score not in (ENERGY, MAX_LOGIT, LIKELIHOOD) or not fits:
            raise ValueError
        return cls(least, refused, images, score, usual)


def fit_unknown(scores: Tensor, refused: float, score: str = ENERGY, usual: Usual | None = None) -> Unknown:
    """The threshold below which at most a share `refused` of such images falls as `scores` (N,) are of.

    A new score is below the k-th smallest of N with probability k / (N + 1) or less, where all come alike; k is the
    largest for which that is `refused`. The threshold lies halfway to the one before it, where no rounding of another
    runtime decides. Raises `UsageError` where the images are too few: 0.05 takes 19.
    """
    place = place_of(len(scores), refused)
    ordered = scores.double().sort().values
    least = torch.stack([ordered[max(place - 2, 0)], ordered[place - 1]]).mean()
    return Unknown(float(least), refused, len(scores), score, usual)


def place_of(images: int, refused: float) -> int:
    """k, from 1 on: the largest of which k / (images + 1) is `refused` at most. Raises as `fit_unknown`."""
    if not 0 < refused < 1:
        raise UsageError(f"{refused} of all photos cannot be refused wrongly; use a share such as 0.05")
    place = math.floor((images + 1) * refused + 1e-9)
    if not place:
        needed = math.ceil(1 / refused - 1 - 1e-9)
        raise UsageError(
            f"a share of {refused:g} takes {needed:,} held-out images or more; there are {images:,}: train with "
            f"--holdout {needed}"
        )
    return place
