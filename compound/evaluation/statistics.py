"""Intervals and tests: Wilson's interval, that of a difference, the bootstrap, McNemar's exact test."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

DRAWS = 1000
AT_ONCE = 1_000_000  # rows of the bootstrap: some 50 MB


def wilson(share: float, count: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share seen in `count` trials (Wilson 1927)."""
    middle = share + z * z / (2 * count)
    spread = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return (middle - spread) / (1 + z * z / count), (middle + spread) / (1 + z * z / count)


def newcombe(first: float, images: int, second: float, others: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of the difference of two independent shares, `first` of `images` less `second` of `others`.

    Newcombe 1998, method 10: from Wilson's intervals of both.
    """
    (low, high), (under, over) = wilson(first, images, z), wilson(second, others, z)
    between = first - second
    return between - math.hypot(first - low, over - second), between + math.hypot(high - first, second - under)


def bootstrap(
    count: int, statistics: Callable[[Tensor], Tensor], *, draws: int = DRAWS, seed: int = 0
) -> list[tuple[float, float]]:
    """95 % percentile intervals (Efron 1979) of what `statistics` makes of `count` rows drawn with replacement.

    `statistics` maps row numbers (draws, count) to figures (draws, k); the answer has k intervals.
    """
    generator = torch.Generator().manual_seed(seed)
    at_once = max(1, AT_ONCE // count)
    shapes = [(min(at_once, draws - begun), count) for begun in range(0, draws, at_once)]
    found = torch.cat([statistics(torch.randint(count, shape, generator=generator)) for shape in shapes])
    low, high = found.double().quantile(torch.tensor([0.025, 0.975], dtype=torch.double), dim=0)
    return list(zip(low.tolist(), high.tolist(), strict=True))


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact two-sided p-value (McNemar 1947) that two classifiers err equally often.

    Of the images that just one of them gets right, each falls to either with probability ½ if they are equally good.
    """
    trials = only_first + only_second
    ways, term = 0, 1
    for successes in range(min(only_first, only_second) + 1):
        ways += term
        term = term * (trials - successes) // (successes + 1)
    return float(min(1.0, 2 * ways / 2**trials))
