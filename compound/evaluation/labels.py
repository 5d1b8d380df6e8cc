"""Which labels are doubtful, by confident learning (Northcutt, Jiang and Chuang 2021) from out-of-fold probabilities.

n images, K classes
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from compound.data.source import Labels
from compound.evaluation.result import Evaluation

CLOSE = 0.1  # the probabilities of two classes that differ by less are as good as equal
STRANGE = 0.5  # of a class's threshold: an image that reaches it in no class is like none of them
TINY = 1e-6  # of a threshold, that a probability may lack


class Doubt(StrEnum):
    """What is doubtful about an image. Each has one doubt at the most, the first of these that fits."""

    DUPLICATE = "duplicate"  # a copy of it has another label
    WRONG = "wrong"  # it is confidently of another class
    STRANGE = "off-topic"  # it is like no class
    AMBIGUOUS = "ambiguous"  # its class and another are as probable


@dataclass(frozen=True)
class Confident:
    """The counts of confident learning: probabilities (n, K) of models that never saw the image, given labels (n,)."""

    probabilities: NDArray[np.float64]
    labels: Labels

    @classmethod
    def of(cls, result: Evaluation) -> "Confident":
        return cls(result.probabilities.double().numpy(), result.labels.numpy())

    @property
    def classes(self) -> int:
        return int(self.probabilities.shape[1])

    @cached_property
    def thresholds(self) -> NDArray[np.float64]:
        """Of each class the mean probability of the images that are labelled so, (K,), Equation 2; of none ∞."""
        images = np.bincount(self.labels, minlength=self.classes)
        sums = np.bincount(self.labels, self.own, self.classes)
        return np.where(images > 0, sums / np.maximum(images, 1), np.inf)

    @cached_property
    def likely(self) -> Labels:
        """The class that each image is confidently of, (n,): the most probable that reaches its threshold; −1 for none.

        Equation 1, and what is done there where several classes reach theirs.
        """
        reached = self.probabilities >= self.thresholds - TINY
        best = np.where(reached, self.probabilities, -1.0).argmax(1)
        return np.where(reached.any(1), best, -1)

    @cached_property
    def joint(self) -> NDArray[np.int64]:
        """The confident joint (K, K): images of each given label that are confidently of each class (Equation 1)."""
        kept = self.likely >= 0
        counts = np.zeros((self.classes, self.classes), dtype=np.int64)
        np.add.at(counts, (self.labels[kept], self.likely[kept]), 1)
        return counts

    @cached_property
    def estimate(self) -> NDArray[np.float64]:
        """The joint distribution of given and true labels (K, K): each row as large as its class (Equation 3)."""
        counts = self.joint.astype(np.float64)
        diagonal = np.arange(self.classes)
        counts[diagonal, diagonal] = np.maximum(counts[diagonal, diagonal], 1)
        images = np.bincount(self.labels, minlength=self.classes)
        scaled: NDArray[np.float64] = counts / counts.sum(1, keepdims=True) * images[:, None]
        return scaled / len(self.labels)

    @property
    def noise(self) -> float:
        """The estimated share of wrong labels: what of the joint distribution is off its diagonal.

        Mistakes of weak models are in it: of 5 % wrong labels, models with a top-1 of 64 % made 31 %.
        """
        return float(1 - np.trace(self.estimate))

    @cached_property
    def own(self) -> NDArray[np.float64]:
        """The probability of the given label, (n,): the self-confidence (Section 3.2); the smaller the more doubt.

        Images are ranked by it: where models are weak it finds more than the margin to the next class does.
        """
        return np.asarray(self.probabilities[np.arange(len(self.labels)), self.labels])

    @cached_property
    def others(self) -> NDArray[np.float64]:
        """The probabilities (n, K) with −1 in place of the given label's."""
        found = self.probabilities.copy()
        found[np.arange(len(self.labels)), self.labels] = -1.0
        return found

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """Whether each image is confidently of another class than it is labelled, (n,)."""
        return np.asarray((self.likely >= 0) & (self.likely != self.labels))

    @cached_property
    def proposed(self) -> Labels:
        """The class to give instead, (n,): the one it is confidently of, else the most probable other one."""
        return np.where(self.wrong, self.likely, self.others.argmax(1))

    @cached_property
    def order(self) -> Labels:
        """All images, the most doubtful first."""
        return np.argsort(self.own, kind="stable")

    def doubts(self, copies: Labels) -> dict[Doubt, Labels]:
        """Positions of the images of each doubt, ranked; `copies` (m,) have a copy with another label."""
        strangeness = (self.probabilities / self.thresholds).max(1)
        best, apart = self.probabilities.argmax(1), np.abs(self.own - self.others.max(1))
        ambiguous = (apart < CLOSE) & ((best == self.labels) | (best == self.proposed))
        taken = np.zeros(len(self.labels), dtype=bool)
        found = {}
        for doubt, those, score in (
            (Doubt.DUPLICATE, np.isin(np.arange(len(self.labels)), copies), self.own),
            (Doubt.WRONG, self.wrong, self.own),
            (Doubt.STRANGE, strangeness < STRANGE, strangeness),
            (Doubt.AMBIGUOUS, ambiguous, apart),
        ):
            those = np.flatnonzero(those & ~taken)
            taken[those] = True
            found[doubt] = those[np.argsort(score[those], kind="stable")]
        return found
