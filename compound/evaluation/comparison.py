"""Two models on the same images: is the difference more than chance?"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from compound.errors import CompoundError
from compound.evaluation.result import Evaluation
from compound.evaluation.statistics import bootstrap, mcnemar


@dataclass(frozen=True)
class Comparison:
    """Both results on the images that both could read, in the same order."""

    first: Evaluation
    second: Evaluation

    @property
    def difference(self) -> float:
        """Top-1 of the second minus top-1 of the first."""
        return self.second.top(1) - self.first.top(1)

    @property
    def only_first(self) -> int:
        """Images that only the first gets right."""
        return int((self.first.hits(1) & ~self.second.hits(1)).sum())

    @property
    def only_second(self) -> int:
        return int((self.second.hits(1) & ~self.first.hits(1)).sum())

    @property
    def p_value(self) -> float:
        """Of McNemar's exact test that both err equally often."""
        return mcnemar(self.only_first, self.only_second)

    def interval(self, seed: int = 0) -> tuple[float, float]:
        """95 % interval of the difference by the paired bootstrap: images are drawn, each with both answers."""
        each = self.second.hits(1).float() - self.first.hits(1).float()

        def mean(rows: Tensor) -> Tensor:
            return each[rows].mean(1, keepdim=True)

        return bootstrap(self.first.images, mean, seed=seed)[0]

    def summary(self) -> dict[str, Any]:
        """The figures as plain values; `per_class` is the difference of the recalls."""
        recalls = zip(self.first.per_class().items(), self.second.per_class().values(), strict=True)
        return {
            "images": self.first.images,
            "top1": [self.first.top(1), self.second.top(1)],
            "difference": self.difference,
            "difference_interval": list(self.interval()),
            "only_first": self.only_first,
            "only_second": self.only_second,
            "p_value": self.p_value,
            "per_class": {
                name: None if a["recall"] is None or b["recall"] is None else b["recall"] - a["recall"]
                for (name, a), b in recalls
            },
        }


def compare(first: Evaluation, second: Evaluation) -> Comparison:
    """The comparison on the images that both results have, paired by their position in the source."""
    if first.classes != second.classes:
        raise CompoundError("results over different classes cannot be compared")
    rows_first = torch.isin(first.indices, second.indices)
    rows_second = torch.isin(second.indices, first.indices)
    if not rows_first.any():
        raise CompoundError("the two results have no image in common; evaluate both on the same images")
    return Comparison(_rows(first, rows_first), _rows(second, rows_second))


def _rows(result: Evaluation, rows: Tensor) -> Evaluation:
    columns = {name: getattr(result, name)[rows] for name in ("probabilities", "labels", "indices")}
    return replace(result, **columns)
