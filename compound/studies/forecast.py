"""Accuracy of larger networks from that of smaller ones: error = a + b · MACs^−c, with its uncertainty.

a is what no network of the family gets rid of, b and c say how fast the rest falls; all are at least 0. For a given c
the best a and b are a non-negative least squares problem, so only c is searched.

Uncertainty is a parametric bootstrap: the curve is fitted again and again to itself with noise of the size seen, and
what it then forecasts gets such a noise too. The size is that of the residuals or, where it is larger, of the means
over seeds; it is Student's t with as many degrees as points are left over.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compound.errors import UsageError
from compound.studies.result import Study

LEAST = 4  # networks: a curve of three parameters and one to tell how well it fits
EXPONENTS = np.geomspace(0.02, 3, 25)
DRAWS = 400
LEVEL = 0.9
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Observation:
    """A trained network: error in [0, 1], the mean over seeds, and the standard error of that (0 where unknown)."""

    name: str
    macs: float
    error: float
    spread: float = 0.0


@dataclass(frozen=True)
class Law:
    """error = a + b · (MACs / unit)^−c."""

    a: float
    b: float
    c: float
    unit: float

    def __call__(self, macs: float) -> float:
        return self.a + self.b * float((macs / self.unit) ** -self.c)


@dataclass(frozen=True)
class Forecast:
    """The accuracy expected at a cost, and the 90 % interval of what a network there may turn out to have."""

    macs: float
    top1: float
    low: float
    high: float


def points_of(studies: Sequence[Study], dimension: str = "compound") -> list[Observation]:
    """The baseline and the variants of one dimension, by cost. Raises `UsageError` for studies that do not fit."""
    first = studies[0]
    for study in studies[1:]:
        for field in ("baseline", "data", "recipe"):
            if getattr(study, field) != getattr(first, field):
                raise UsageError(f"the studies differ in their {field}; forecast from those of one {field}")
    found: dict[int, Observation] = {}
    for variant in (
        v for study in studies for v in study.variants if v.dimension in ("baseline", dimension) and v.runs
    ):
        errors = [1 - run.top1 for run in variant.runs]
        spread = float(np.std(errors, ddof=1)) / math.sqrt(len(errors)) if len(errors) > 1 else 0.0
        found.setdefault(variant.macs, Observation(variant.name, variant.macs, float(np.mean(errors)), spread))
    return sorted(found.values(), key=lambda point: point.macs)


def fit(points: Sequence[Observation]) -> Law:
    """The law nearest to the points by least squares. Raises `UsageError` for fewer than four different costs."""
    macs, errors = _columns(points)
    return _fitted(macs, errors)


def forecast(points: Sequence[Observation], costs: Sequence[float], seed: int = 0) -> list[Forecast]:
    """What networks of these multiply-adds are expected to reach."""
    macs, errors = _columns(points)
    law = _fitted(macs, errors)
    left = len(points) - 3
    curve = np.array([law(one) for one in macs])
    residual = float(np.sqrt(np.sum((errors - curve) ** 2) / left))
    size = max(residual, float(np.sqrt(np.mean([point.spread**2 for point in points]))))
    rng = np.random.default_rng(seed)
    drawn = np.empty((DRAWS, len(costs)))
    for row in drawn:
        again = _fitted(macs, curve + size * rng.standard_t(left, len(points)))
        row[:] = [again(one) for one in costs] + size * rng.standard_t(left, len(costs))
    low, high = np.quantile(np.clip(drawn, 0, 1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return [
        Forecast(one, 1 - law(one), float(1 - upper), float(1 - lower))
        for one, lower, upper in zip(costs, low, high, strict=True)
    ]


def held_out(points: Sequence[Observation], seed: int = 0) -> tuple[Observation, Forecast] | None:
    """The largest network, and what the others would have forecast for it; None where too few are left."""
    if len(points) <= LEAST:
        return None
    *others, largest = points
    return largest, forecast(others, [largest.macs], seed)[0]


def _columns(points: Sequence[Observation]) -> tuple[Array, Array]:
    if len({point.macs for point in points}) < LEAST:
        raise UsageError(
            f"{len(points)} networks are too few to forecast from; {LEAST} or more are needed: "
            "run compound study … --plan family"
        )
    return np.array([float(point.macs) for point in points]), np.array([point.error for point in points])


def _fitted(macs: Array, errors: Array) -> Law:
    from scipy.optimize import minimize_scalar, nnls

    unit = float(np.exp(np.mean(np.log(macs))))  # the middle: b is then the error there less a

    def solved(exponent: float) -> tuple[Array, float]:
        design = np.stack([np.ones_like(macs), (macs / unit) ** -exponent], axis=1)
        found: tuple[Array, float] = nnls(design, errors)
        return found

    best = int(np.argmin([solved(c)[1] for c in EXPONENTS]))
    ends = EXPONENTS[max(best - 1, 0)], EXPONENTS[min(best + 1, len(EXPONENTS) - 1)]
    c = float(minimize_scalar(lambda c: solved(c)[1], bounds=ends, method="bounded", options={"xatol": 1e-5}).x)
    (a, b), _ = solved(c)
    return Law(float(a), float(b), c, unit)
