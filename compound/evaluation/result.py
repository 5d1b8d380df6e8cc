"""Accuracy of a model on a source: top-1 with its intervals, top-5, loss, per class, calibration."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix

from compound.evaluation.statistics import bootstrap, wilson
from compound.markup import html_table
from compound.nn.unknown import Unknown
from compound.quantity import or_none

BINS = 15  # of confidence, as Guo et al. 2017 count the calibration error


@dataclass(frozen=True)
class Evaluation:
    """What a model says about every readable image of a source. Probabilities are (images, classes).

    `energies` (images,): log Σ exp of the logits, which probabilities no longer tell; None where nobody has them.
    """

    classes: tuple[str, ...]
    probabilities: Tensor
    labels: Tensor
    indices: Tensor
    damaged: list[tuple[str, str]]
    energies: Tensor | None = None

    @property
    def images(self) -> int:
        return len(self.labels)

    @cached_property
    def predicted(self) -> Tensor:
        """The most probable class of each image, (images,)."""
        return self.probabilities.argmax(1)

    @cached_property
    def confidence(self) -> Tensor:
        """Its probability, (images,)."""
        return self.probabilities.amax(1)

    @cached_property
    def losses(self) -> Tensor:
        """Cross-entropy of each image in nats, (images,)."""
        return -self.probabilities.gather(1, self.labels[:, None])[:, 0].clamp_min(1e-12).log()

    @cached_property
    def bins(self) -> Tensor:
        """Which of the BINS equal bins each confidence lies in, (images,)."""
        return (self.confidence * BINS).long().clamp_max(BINS - 1)

    def hits(self, k: int) -> Tensor:
        """Whether the class is among the k most probable, (images,)."""
        if k == 1:
            return self.predicted == self.labels
        best = self.probabilities.topk(min(k, len(self.classes))).indices
        return (best == self.labels[:, None]).any(1)

    def top(self, k: int) -> float:
        """Share of images whose class is among the k most probable."""
        return self.hits(k).float().mean().item()

    def scores(self, unknown: Unknown) -> Tensor:
        """How much each image looks like those of the classes, (images,), by the score of a threshold."""
        assert self.energies is not None
        return unknown.scored(self.probabilities.double().log(), self.energies)

    @property
    def loss(self) -> float:
        """Mean cross-entropy in nats."""
        return self.losses.mean().item()

    @property
    def calibration_error(self) -> float:
        """Expected calibration error (Guo et al. 2017): |accuracy − confidence| by bin, weighted by images."""
        gaps = torch.bincount(self.bins, (self.hits(1).float() - self.confidence).double(), BINS)
        return gaps.abs().sum().item() / self.images

    def confusion(self) -> Tensor:
        """Counts (true class, predicted class): of 21,841 classes 3.8 GB, so nothing here needs them all."""
        return multiclass_confusion_matrix(self.predicted, self.labels, len(self.classes))

    def confusion_pairs(self) -> list[list[int]]:
        """(true class, predicted class, images) of the pairs that occur: no more than there are images."""
        pairs, counts = torch.stack([self.labels, self.predicted], 1).unique(dim=0, return_counts=True)
        found: list[list[int]] = torch.cat([pairs, counts[:, None]], 1).tolist()
        return found

    def per_class(self) -> dict[str, dict[str, float | None]]:
        """Images, recall, precision and F1 of each class; None where nothing was there, or nothing predicted."""
        count, (labels, right_ones) = len(self.classes), self._by_label()
        images, named, right = (
            torch.bincount(numbers, minlength=count).double() for numbers in (labels, self.predicted, right_ones)
        )
        columns = (images, right / images, right / named, 2 * right / (images + named))
        return {
            name: {"images": int(count), "recall": or_none(recall), "precision": or_none(precision), "f1": or_none(f1)}
            for name, count, recall, precision, f1 in zip(self.classes, *(c.tolist() for c in columns), strict=True)
        }

    @property
    def mean_per_class(self) -> float:
        """Mean per-class accuracy: the mean of the recall of each class that occurs, whatever its number of images."""
        images, right = (torch.bincount(rows, minlength=len(self.classes)).double() for rows in self._by_label())
        return (right[images > 0] / images[images > 0]).mean().item()

    def _by_label(self) -> tuple[Tensor, Tensor]:
        """Class numbers of all images, and of those that are classified rightly."""
        return self.labels, self.labels[self.hits(1)]

    def most_confident_mistakes(self, count: int) -> list[int]:
        """Positions in the source of wrongly classified images, the most confident first."""
        confidence = torch.where(self.predicted != self.labels, self.confidence, -1)
        best = confidence.topk(min(count, self.images))
        return [int(self.indices[i]) for i, value in zip(best.indices, best.values, strict=True) if value > 0]

    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of top-1."""
        return wilson(self.top(1), self.images)

    def bootstrap(self, seed: int = 0) -> dict[str, tuple[float, float]]:
        """95 % bootstrap intervals of top-1, top-5, loss and calibration error, over the images."""
        first, fifth = self.hits(1).float(), self.hits(5).float()
        gaps = (first - self.confidence).double()

        def figures(rows: Tensor) -> Tensor:
            draws = len(rows)
            places = self.bins[rows] + BINS * torch.arange(draws)[:, None]
            sums = torch.bincount(places.flatten(), gaps[rows].flatten(), BINS * draws).reshape(draws, BINS)
            errors = (sums.abs().sum(1) / self.images).float()
            return torch.stack([*(each[rows].mean(1) for each in (first, fifth, self.losses)), errors], dim=1)

        found = bootstrap(self.images, figures, seed=seed)
        return dict(zip(("top1", "top5", "loss", "calibration_error"), found, strict=True))

    def only(self, classes: list[int]) -> "Evaluation":
        """The choice narrowed to these classes: their probabilities made to sum to one, images of others left out."""
        chosen = torch.tensor(classes)
        places = torch.full((len(self.classes),), -1).scatter(0, chosen, torch.arange(len(classes)))
        kept = places[self.labels] >= 0
        probabilities = self.probabilities[kept][:, chosen]
        return replace(
            self,
            classes=tuple(self.classes[i] for i in classes),
            probabilities=probabilities / probabilities.sum(1, keepdim=True).clamp_min(torch.finfo().tiny),
            labels=places[self.labels[kept]],
            indices=self.indices[kept],
            energies=None,  # those of all classes
        )

    def _repr_html_(self) -> str:
        """For Jupyter."""
        low, high = self.interval()
        rows = [
            ("top-1", f"{self.top(1):.2%}, 95 % interval {low:.2%} to {high:.2%}"),
            ("mean per class", f"{self.mean_per_class:.2%}"),
            ("top-5", f"{self.top(5):.2%}"),
            ("loss", f"{self.loss:.4f}"),
            ("classes", f"{len(self.classes):,}"),
            ("images", f"{self.images:,}" + (f", and {len(self.damaged):,} unreadable" if self.damaged else "")),
        ]
        return html_table("evaluation", (), rows)

    def summary(self) -> dict[str, Any]:
        """The figures as plain values."""
        return {
            "images": self.images,
            "top1": self.top(1),
            "top1_interval": list(self.interval()),
            "mean_per_class": self.mean_per_class,
            "top5": self.top(5),
            "loss": self.loss,
            "calibration_error": self.calibration_error,
            "bootstrap": {name: list(interval) for name, interval in self.bootstrap().items()},
            "per_class": self.per_class(),
            "confusion_pairs": self.confusion_pairs(),
            "damaged": [{"path": path, "reason": reason} for path, reason in self.damaged],
        }
