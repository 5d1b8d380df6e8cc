"""How far a proxy's ranking of networks can be trusted: Kendall's τ against the true one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compound.errors import UsageError


@dataclass(frozen=True)
class RankAgreement:
    """Kendall's τ-b of two rankings of `count` networks with its 95 % interval by the bootstrap."""

    tau: float
    low: float
    high: float
    count: int


def kendall(proxy: Sequence[float], true: Sequence[float]) -> float:
    """τ-b, 1 for equal order and −1 for reversed; nan where one side has a single value."""
    return _kendall(_signs(proxy), _signs(true))


def _signs(scores: Sequence[float]) -> NDArray[np.float64]:
    return np.sign(np.subtract.outer(scores, scores))


def _kendall(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    ties = float(np.sqrt((one != 0).sum() * (other != 0).sum()))
    return float((one * other).sum()) / ties if ties else float("nan")


def agreement(proxy: Sequence[float], true: Sequence[float], seed: int = 0, resamples: int = 2000) -> RankAgreement:
    """τ of two lists of scores for the same networks. Networks are resampled with replacement for the interval."""
    count = len(true)
    if count < 3 or len(proxy) != count:
        raise UsageError(f"{count} networks have no ranking to speak of; validate with 3 or more, better 20")
    rng = np.random.default_rng(seed)
    one, two = _signs(proxy), _signs(true)
    draws = (np.ix_(drawn, drawn) for drawn in (rng.integers(0, count, count) for _ in range(resamples)))
    taus = [tau for tau in (_kendall(one[drawn], two[drawn]) for drawn in draws) if tau == tau]
    low, high = np.quantile(taus, [0.025, 0.975]) if taus else (float("nan"), float("nan"))
    return RankAgreement(_kendall(one, two), float(low), float(high), count)
