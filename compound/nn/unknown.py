"""When a network says that an image is none of its classes: a score of the logits, and the least that is accepted."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from compound.errors import UsageError

ENERGY, MAX_LOGIT = "energy", "max-logit"
SCORES: dict[str, Callable[[Tensor], Tensor]] = {
    ENERGY: lambda logits: logits.logsumexp(1),  # minus the energy of Liu et al. 2020, Equation 4, at T = 1
    MAX_LOGIT: lambda logits: logits.amax(1),  # Hendrycks et al. 2022, Section 3
}


@dataclass(frozen=True)
class Unknown:
    """An image whose score is below `least` is none of the classes.

    Of images that are, a share of at most `refused` falls below it in the mean: `least` was chosen on `images` ones
    that the network did not learn.
    """

    least: float
    refused: float
    images: int
    score: str = ENERGY

    def scores(self, logits: Tensor) -> Tensor:
        """Of logits (N, classes), (N,) in double precision: the less, the stranger."""
        return SCORES[self.score](logits.double())

    def dump(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: str) -> "Unknown":
        """What `dump` wrote. Raises `ValueError` for anything else."""
        given: Any = json.loads(text)
        if not isinstance(given, dict) or given.keys() != cls.__dataclass_fields__.keys():
            raise ValueError
        least, refused = float(given["least"]), float(given["refused"])
        if given["score"] not in SCORES or not (math.isfinite(least) and 0 < refused < 1):
            raise ValueError
        return cls(least, refused, int(given["images"]), given["score"])


def fit_unknown(scores: Tensor, refused: float, score: str = ENERGY) -> Unknown:
    """The threshold below which at most a share `refused` of such images falls as `scores` (N,) are of.

    A new score is below the k-th smallest of N with probability k / (N + 1) or less, where all come alike; k is the
    largest for which that is `refused`. The threshold lies halfway to the one before it, where no rounding of another
    runtime decides. Raises `UsageError` where the images are too few: 0.05 takes 19.
    """
    if not 0 < refused < 1:
        raise UsageError(f"{refused} of all photos cannot be refused wrongly; use a share such as 0.05")
    place = math.floor((len(scores) + 1) * refused + 1e-9)
    if not place:
        needed = math.ceil(1 / refused - 1 - 1e-9)
        raise UsageError(
            f"a share of {refused:g} takes {needed:,} held-out images or more; there are {len(scores):,}: train with "
            f"--holdout {needed}"
        )
    ordered = scores.double().sort().values
    least = torch.stack([ordered[max(place - 2, 0)], ordered[place - 1]]).mean()
    return Unknown(float(least), refused, len(scores), score)
