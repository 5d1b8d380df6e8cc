"""How far a proxy's ranking of networks can be trusted: Kendall's τ against the true one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torchmetrics.functional.regression import kendall_rank_corrcoef

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
    ranked = kendall_rank_corrcoef(torch.tensor(proxy, dtype=torch.float64), torch.tensor(true, dtype=torch.float64))
    assert isinstance(ranked, torch.Tensor)  # with its p, it would be a pair
    return float(ranked)


def agreement(proxy: Sequence[float], true: Sequence[float], seed: int = 0, resamples: int = 2000) -> RankAgreement:
    """τ of two lists of scores for the same networks. Networks are resampled with replacement for the interval."""
    count = len(true)
    if count < 3 or len(proxy) != count:
        raise UsageError(f"{count} networks have no ranking to speak of; validate with 3 or more, better 20")
    rng = np.random.default_rng(seed)
    one, two = np.sign(np.subtract.outer(proxy, proxy)), np.sign(np.subtract.outer(true, true))
    taus = []
    for _ in range(resamples):
        drawn = rng.integers(0, count, count)
        a, b = one[np.ix_(drawn, drawn)], two[np.ix_(drawn, drawn)]
        ties = np.sqrt((a != 0).sum() * (b != 0).sum())
        if ties:
            taus.append(float((a * b).sum() / ties))
    low, high = np.quantile(taus, [0.025, 0.975]) if taus else (float("nan"), float("nan"))
    return RankAgreement(kendall(proxy, true), float(low), float(high), count)
