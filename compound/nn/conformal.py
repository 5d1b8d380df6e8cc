"""Sets of classes that hold the right one with a chosen probability: conformal prediction, regularised (RAPS).

Angelopoulos, Bates, Malik and Jordan 2021, "Uncertainty Sets for Image Classifiers using Conformal Prediction",
Equation 4 with u = 0, so that nothing is random and no set is empty, and Algorithms 2 and 3. What is promised holds on
average over images that come as those did that it was fitted on, and for no others.
"""

import json
import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from compound.errors import UsageError
from compound.nn.fitted import read_fitted

PENALTY, FREE = 0.01, 5  # λ and k_reg: what each class beyond the first five costs


@dataclass(frozen=True)
class Sets:
    """A class is in the set of an image where its score is at most `most`, fitted on `images` images."""

    coverage: float
    most: float
    images: int

    def chosen(self, probabilities: Tensor) -> Tensor:
        """Which classes are in the set of each image, (n, K), of probabilities (n, K); the most probable always is."""
        return scores(probabilities) <= self.most

    def dump(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: str) -> "Sets":
        """What `dump` wrote. Raises `ValueError` or `TypeError` for anything else."""
        most, coverage, images = read_fitted(json.loads(text), {"coverage", "most", "images"}, "most", "coverage")
        return cls(coverage, most, images)


def scores(probabilities: Tensor) -> Tensor:
    """Of every class (n, K): the sum of those that are more probable, and λ · (its rank − k_reg)⁺; 0 of the first."""
    ordered = probabilities.double().sort(dim=1, descending=True, stable=True)
    ranks = torch.arange(1, probabilities.shape[1] + 1, dtype=torch.double)
    cost = ordered.values.cumsum(1) - ordered.values + PENALTY * (ranks - FREE).clamp_min(0)
    return torch.empty_like(cost).scatter_(1, ordered.indices, cost)


def fit_sets(probabilities: Tensor, labels: Tensor, coverage: float) -> Sets:
    """The sets that hold the right class with probability `coverage`, fitted on held-out images (n, K), (n,).

    Raises `UsageError` where these are too few: a coverage of 0.9 takes 9, of 0.99 it takes 99.
    """
    if not 0 < coverage < 1:
        raise UsageError(f"coverage {coverage} is not possible; use a share such as 0.9")
    count = len(labels)
    place = math.ceil((count + 1) * coverage - 1e-9)
    if place > count:
        needed = math.ceil(coverage / (1 - coverage) - 1e-9)
        raise UsageError(
            f"a coverage of {coverage:g} takes {needed:,} held-out images or more; there are {count:,}: train with "
            f"--holdout {needed}"
        )
    own = scores(probabilities).gather(1, labels[:, None])[:, 0]
    return Sets(coverage, float(own.sort().values[place - 1]), count)
