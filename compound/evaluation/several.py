"""Accuracy where an image may have several labels, or none: average precision by class."""

import warnings
from dataclasses import dataclass
from functools import cached_property
from statistics import mean
from typing import Any

import torch
from torch import Tensor
from torchmetrics.functional.classification import multilabel_average_precision

from compound.errors import UsageError
from compound.evaluation.result import Evaluation
from compound.quantity import or_none

THRESHOLD = 0.5  # of probability, from which a class counts as named


@dataclass(frozen=True)
class SeveralLabels(Evaluation):
    """What a model says about every readable image of a source: `labels` are 0 or 1, (images, classes).

    `top(k)` is the share of images with a label among the k most probable classes.
    """

    @cached_property
    def losses(self) -> Tensor:
        """Binary cross-entropy of each image in nats, the mean over the classes, (images,)."""
        right = torch.where(self.labels > 0, self.probabilities, 1 - self.probabilities)
        return -right.clamp_min(1e-12).log().mean(1)

    def hits(self, k: int) -> Tensor:
        best = self.probabilities.topk(min(k, len(self.classes))).indices
        return self.labels.gather(1, best).any(1)

    @cached_property
    def average_precisions(self) -> tuple[float | None, ...]:
        """The area under each class's steps of precision over recall; None where no image has the class."""
        there = torch.unique(self.labels.nonzero()[:, 1])
        found: list[float | None] = [None] * len(self.classes)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # torchmetrics' about classes without images
            values = multilabel_average_precision(self.probabilities, self.labels, len(self.classes), average=None)
        for number in there.tolist():
            found[number] = float(values[number])
        return tuple(found)

    @property
    def mean_average_precision(self) -> float | None:
        """Over the classes that some image has."""
        there = [value for value in self.average_precisions if value is not None]
        return mean(there) if there else None

    def confusion(self) -> Tensor:
        raise UsageError("a confusion matrix needs one label an image, and these have several; look at per_class")

    def per_class(self) -> dict[str, dict[str, float | None]]:
        """Images and average precision of each class; recall, precision and F1 where it is named from THRESHOLD on."""
        named, there = self.probabilities >= THRESHOLD, self.labels > 0
        right, images, said = ((each.double().sum(0)) for each in (named & there, there, named))
        columns = (images, right / images, right / said, 2 * right / (images + said))
        rows = zip(self.classes, self.average_precisions, *(c.tolist() for c in columns), strict=True)
        return {
            name: {
                "images": int(count), "average_precision": area,
                "recall": or_none(recall), "precision": or_none(precision), "f1": or_none(f1),
            }
            for name, area, count, recall, precision, f1 in rows
        }  # fmt: skip

    def summary(self) -> dict[str, Any]:
        return {
            "images": self.images,
            "mean_average_precision": self.mean_average_precision,
            "top1": self.top(1),
            "top1_interval": list(self.interval()),
            "top5": self.top(5),
            "loss": self.loss,
            "threshold": THRESHOLD,
            "per_class": self.per_class(),
            "damaged": [{"path": path, "reason": reason} for path, reason in self.damaged],
        }
