"""Accuracy of a model on a source: top-1 with its interval, top-5, loss, and the confusion matrix."""

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix

from compound.data import DamageLog, Source
from compound.errors import CompoundError
from compound.inference import classify
from compound.nn import ConvNet
from compound.train.parallel import gathered, rank, size


@dataclass(frozen=True)
class Evaluation:
    """What a model says about every readable image of a source. Probabilities are (images, classes)."""

    classes: tuple[str, ...]
    probabilities: Tensor
    labels: Tensor
    indices: Tensor
    damaged: list[tuple[str, str]]

    @property
    def images(self) -> int:
        return len(self.labels)

    def top(self, k: int) -> float:
        """Share of images whose class is among the k most probable."""
        k = min(k, len(self.classes))
        return (self.probabilities.topk(k).indices == self.labels[:, None]).any(1).float().mean().item()

    @property
    def loss(self) -> float:
        """Mean cross-entropy in nats."""
        return F.nll_loss(self.probabilities.clamp_min(1e-12).log(), self.labels).item()

    def confusion(self) -> Tensor:
        """Counts (true class, predicted class)."""
        return multiclass_confusion_matrix(self.probabilities.argmax(1), self.labels, len(self.classes))

    def most_confident_mistakes(self, count: int) -> list[int]:
        """Positions in the source of wrongly classified images, the most confident first."""
        confidence, predicted = self.probabilities.max(1)
        confidence = torch.where(predicted != self.labels, confidence, -1)
        best = confidence.topk(min(count, self.images))
        return [int(self.indices[i]) for i, value in zip(best.indices, best.values, strict=True) if value > 0]

    def interval(self, z: float = 1.96) -> tuple[float, float]:
        """Wilson's 95 % interval of top-1."""
        n, p = self.images, self.top(1)
        middle, spread = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return (middle - spread) / (1 + z * z / n), (middle + spread) / (1 + z * z / n)

    def summary(self) -> dict[str, Any]:
        """The figures as plain values."""
        confusion = self.confusion()
        recall = confusion.diag() / confusion.sum(1).clamp_min(1)
        return {
            "images": self.images,
            "top1": self.top(1),
            "top1_interval": list(self.interval()),
            "top5": self.top(5),
            "loss": self.loss,
            "per_class": dict(zip(self.classes, recall.tolist(), strict=True)),
            "confusion": confusion.tolist(),
            "damaged": [{"path": path, "reason": reason} for path, reason in self.damaged],
        }


def evaluate(
    model: ConvNet,
    source: Source,
    classes: tuple[str, ...],
    *,
    batch: int = 128,
    workers: int = 0,
    device: str = "auto",
    damaged_limit: float = 0.01,
) -> Evaluation:
    """Run `model` over `source` once, in order. The model is left in the mode it was in.

    Several processes share the images, each image once, and all return the whole.
    """
    damage = DamageLog(damaged_limit)
    mine = list(classify(model, source, damage, batch=batch, workers=workers, device=device, rank=rank(), world=size()))
    parts = [part for process in gathered(mine) for part in process]
    damaged = [item for process in gathered(damage.damaged) for item in process.items()]
    if not parts:
        raise CompoundError("not one image could be read; check the paths and the files")
    probabilities, labels, indices = (torch.cat(column) for column in zip(*parts, strict=True))
    order = indices.argsort()
    return Evaluation(classes, probabilities[order], labels[order], indices[order], damaged)
