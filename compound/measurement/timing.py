"""Times of a call: interleaved rounds, and what is said about them."""

import math
import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

RESAMPLES = 1000


@dataclass(frozen=True)
class Timing:
    """Seconds of single calls in order, by rounds."""

    rounds: tuple[tuple[float, ...], ...]

    @property
    def calls(self) -> list[float]:
        return [seconds for one in self.rounds for seconds in one]

    @property
    def mean(self) -> float:
        """What Table 4 of the paper prints."""
        return statistics.fmean(self.calls)

    @property
    def median(self) -> float:
        return statistics.median(self.calls)

    def percentile(self, percent: float) -> float:
        """The time that `percent` of the calls stay at or below."""
        calls = sorted(self.calls)
        return calls[max(0, math.ceil(percent / 100 * len(calls)) - 1)]

    @property
    def spread(self) -> float:
        """Interquartile range as a share of the median."""
        return (self.percentile(75) - self.percentile(25)) / self.median

    def interval(self, seed: int = 0) -> tuple[float, float]:
        """95 % bootstrap interval of the median. Whole rounds are drawn: calls of one round are alike."""
        rng = random.Random(seed)
        medians = sorted(
            statistics.median(seconds for one in rng.choices(self.rounds, k=len(self.rounds)) for seconds in one)
            for _ in range(RESAMPLES)
        )
        return medians[round(0.025 * RESAMPLES)], medians[round(0.975 * RESAMPLES) - 1]


@dataclass(frozen=True)
class Turns:
    """`runs` timed calls of each, spread over `rounds` turns of an order that `seed` draws, as it does the images."""

    runs: int = 20
    rounds: int = 5
    seed: int = 0


TABLE_4 = Turns()  # the paper: mean of 20


def interleaved(calls: Mapping[str, Callable[[], object]], runs: int, rounds: int, seed: int = 0) -> dict[str, Timing]:
    """Time every call `runs` times, spread over `rounds` rounds of changing order.

    Each turn begins with a call that is not timed, so that no call pays for the one before it. Whatever slows the
    machine for a while then meets all calls alike.
    """
    rng, names = random.Random(seed), list(calls)
    taken: dict[str, list[tuple[float, ...]]] = {name: [] for name in names}
    rounds = min(rounds, runs)
    for number in range(rounds):
        rng.shuffle(names)
        due = runs // rounds + (number < runs % rounds)
        for name in names:
            calls[name]()
            taken[name].append(tuple(seconds_of(calls[name]) for _ in range(due)))
    return {name: Timing(tuple(taken[name])) for name in calls}


def seconds_of(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def fastest(call: Callable[[], object], seconds: float = 0.04, least: int = 3) -> float:
    """Of at least so many calls, and as many as fit into the seconds; a first one is not counted."""
    call()
    times: list[float] = []
    while len(times) < least or sum(times) < seconds:
        times.append(seconds_of(call))
    return min(times)
