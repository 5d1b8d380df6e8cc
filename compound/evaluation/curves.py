"""What a training will end at, from the epochs it has had: an ensemble of parametric learning curves.

On the scale of logits, an accuracy after the share τ of a training is

    logit(y) = a − b · g(τ) + c · h(τ) + noise

where g falls from about 1 to 0 in one of the ways of `FALLS` (power law, exponential, Weibull, MMF: Domhan et al. 2015,
Viering & Loog 2022) and h = 1 − rate / peak rate is what a falling learning rate adds, which curves of a constant rate
do not have. The noise is wider where the rate is high, and has the part of judging by so many images.

For given g and noise, a, b and c are a linear regression with a Gaussian prior, so that its evidence and what it
predicts are exact: no restarts and no chains. The ensemble weighs every g and noise by its evidence. `FITTED`
are the priors that foresaw the curves of `benchmarks/results/ranking-truth.json` best;
`benchmarks/results/curves.json` states how often intervals held on networks that were left out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from compound.errors import UsageError

Array = NDArray[np.float64]

NOISES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)  # standard deviations on the scale of logits, where the rate is at its peak


@dataclass(frozen=True)
class Priors:
    """What is believed of a curve before any epoch of it: `mean` and `deviation` of a, b and c.

    `calm` is the share of the noise's variance that is left when the rate has fallen to nothing; while it still rises,
    the variance is `warming` times as large. Deviations of what is foreseen are stretched by `wider`.
    """

    mean: tuple[float, float, float] = (1.5, 1.7, 0.18)
    deviation: tuple[float, float, float] = (2.0, 1.5, 0.15)
    calm: float = 0.03
    warming: float = 100.0
    wider: float = 0.65


FITTED = Priors()


def falls() -> list[Array]:
    """Parameters of the curves: kind, rate, exponent."""
    power = product((0.0,), (10.0, 50.0), (0.25, 0.5, 1.0, 2.0))
    weibull = product((1.0,), (1.0, 2.0, 4.0, 8.0, 16.0), (0.5, 0.75, 1.0, 1.5))  # 1: the exponential
    mmf = product((2.0,), (2.0, 6.0, 18.0), (0.5, 1.0, 2.0))
    return [np.array(one) for one in (*power, *weibull, *mmf)]


@cache
def _shapes() -> tuple[Array, Array, Array]:
    kinds, rates, exponents = np.stack(falls()).T[:, :, None]
    return kinds, rates, exponents


def fallen(share: Array) -> Array:
    """g of every curve, (curves, n), after each `share` (n,) of a training."""
    kinds, rates, exponents = _shapes()
    x = rates * share
    with np.errstate(over="ignore"):
        power = (1 + x) ** -exponents
        weibull = np.exp(-(x**exponents))
        mmf = 1 / (1 + x**exponents)
    found: Array = np.select([kinds == 0, kinds == 1], [power, weibull], mmf)
    return found


@dataclass(frozen=True)
class Foreseen:
    """What a training will end at: a mixture of normal distributions of the accuracy's logit."""

    weights: Array
    means: Array
    deviations: Array

    def below(self, accuracy: float) -> float:
        """The probability of ending below `accuracy`."""
        scores = (logit(accuracy) - self.means) / (self.deviations * math.sqrt(2))
        return float(sum(w * (1 + math.erf(s)) / 2 for w, s in zip(self.weights, scores, strict=True)))

    def quantile(self, probability: float) -> float:
        """The accuracy below which it ends with this probability."""
        low, high = 1e-6, 1 - 1e-6
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if self.below(middle) < probability else (low, middle)
        return (low + high) / 2

    def interval(self, share: float = 0.9) -> tuple[float, float]:
        """Accuracies between which it ends with the probability `share`, as often above them as below."""
        return self.quantile((1 - share) / 2), self.quantile((1 + share) / 2)

    def density(self, accuracy: float) -> float:
        """The probability density of ending at `accuracy`, on the scale of logits."""
        scores = (logit(accuracy) - self.means) / self.deviations
        return float((self.weights * np.exp(-(scores**2) / 2) / (self.deviations * math.sqrt(2 * math.pi))).sum())

    @property
    def middle(self) -> float:
        """The median."""
        return self.quantile(0.5)


def foresee(accuracies: Sequence[float], rates: Sequence[float], images: int, priors: Priors = FITTED) -> Foreseen:
    """What a training ends at whose first epochs had these held-out accuracies, by `images` images.

    `rates` are those of all epochs, the ones to come included, each at the epoch's end.

    Raises `UsageError` where nothing can be foreseen: without an epoch, or without one to come.
    """
    seen, epochs = len(accuracies), len(rates)
    if not 0 < seen < epochs:
        raise UsageError(f"{seen} of {epochs} epochs foresee nothing; give some, and leave some to come")
    shares = np.arange(1, epochs + 1) / epochs
    steepness = np.asarray(rates, dtype=float) / max(rates)
    peak = int(np.argmax(steepness))
    annealed = np.where(np.arange(epochs) < peak, 0.0, 1 - steepness)
    shapes = fallen(shares)
    design = np.stack([np.ones_like(shapes), -shapes, np.broadcast_to(annealed, shapes.shape)], axis=-1)
    y = np.array([logit(kept(each, images)) for each in accuracies])
    judged = np.array([1 / (images * p * (1 - p)) for p in (kept(each, images) for each in accuracies)])
    restless = priors.calm + (1 - priors.calm) * np.clip(steepness, 0, 1)
    restless[:peak] *= priors.warming
    squares = np.square(NOISES)[:, None]
    variances = squares * restless[:seen] + judged  # (noises, seen)
    evidence, mean, covariance = regressions(design[:, :seen], y, variances, priors)
    last = design[:, -1]  # (curves, 3)
    means = np.einsum("gk,sgk->sg", last, mean)
    spread = np.einsum("gk,sgkl,gl->sg", last, covariance, last)
    final = squares * restless[-1] + judged[-1]
    weights = np.exp(evidence - evidence.max())
    weights /= weights.sum()
    deviations = priors.wider * np.sqrt(spread + final)
    kept_ones = weights > 1e-4 * weights.max()
    some = weights[kept_ones]
    return Foreseen(some / some.sum(), means[kept_ones], deviations[kept_ones])


def regressions(design: Array, y: Array, variances: Array, priors: Priors) -> tuple[Array, Array, Array]:
    """Log evidence (noises, curves), means (noises, curves, 3) and covariances (…, 3, 3) of a, b, c.

    `design` is (curves, n, 3), `y` (n,), `variances` (noises, n).
    """
    precision = np.diag(1 / np.square(priors.deviation))
    prior = np.array(priors.mean)
    weights = 1 / variances
    posterior = np.einsum("gnk,sn,gnl->sgkl", design, weights, design) + precision
    right = np.einsum("gnk,sn,n->sgk", design, weights, y) + precision @ prior
    covariance = np.linalg.inv(posterior)
    mean = np.einsum("sgkl,sgl->sgk", covariance, right)
    constant = (weights * y**2).sum(1) + np.log(variances).sum(1)
    evidence = (np.einsum("sgk,sgk->sg", mean, right) - constant[:, None] - np.linalg.slogdet(posterior)[1]) / 2
    return evidence, mean, covariance


def kept(accuracy: float, images: int) -> float:
    """The accuracy, kept off 0 and 1 by half an image."""
    return min(max(accuracy, 0.5 / images), 1 - 0.5 / images)


def logit(p: float) -> float:
    return math.log(p / (1 - p))
