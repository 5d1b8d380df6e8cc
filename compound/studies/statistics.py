"""What the runs of a study say: means with intervals, and paired tests of the reference against each other scaling.

Everything is over seeds, on one set of test images: intervals say what other seeds would give, not what other images
would. Runs of equal seed share the order of images and their augmentation, so they are compared pair by pair.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from compound.studies.result import Study, Variant

REFERENCE = "compound"
LEVEL = 0.05
EQUAL = 0.0101  # share by which costs may differ and count as equal


@dataclass(frozen=True)
class Mean:
    """A mean over `count` values with its 95 % interval by Student's t; of one value the ends are nan."""

    mean: float
    low: float
    high: float
    count: int


@dataclass(frozen=True)
class PairedComparison:
    """The reference's accuracy less another variant's, by seed.

    `p` is of the paired t-test (two-sided), `adjusted` after Holm (1979) for all comparisons of the group; nan where
    fewer than two seeds have both. `macs` is the other's cost over the reference's.
    """

    reference: str
    other: str
    dimension: str
    group: str
    difference: Mean
    p: float
    adjusted: float
    macs: float

    @property
    def shown(self) -> bool:
        """Whether the difference can be told from nothing."""
        return self.adjusted < LEVEL


def mean(values: Sequence[float]) -> Mean:
    """Mean and interval. Raises `ValueError` without values."""
    from scipy import stats

    count = len(values)
    middle = math.fsum(values) / count
    if count < 2:
        return Mean(middle, math.nan, math.nan, count)
    spread = math.sqrt(math.fsum((value - middle) ** 2 for value in values) / (count - 1))
    half = float(stats.t.ppf(1 - LEVEL / 2, count - 1)) * spread / math.sqrt(count)
    return Mean(middle, middle - half, middle + half, count)


def means(study: Study) -> dict[str, Mean]:
    """Accuracy by variant, of those that have runs."""
    return {v.name: mean(list(v.top1().values())) for v in study.variants if v.runs}


def paired(first: Sequence[float], second: Sequence[float]) -> tuple[Mean, float]:
    """The mean of first − second, and the two-sided p-value of the paired t-test."""
    from scipy import stats

    found = mean([a - b for a, b in zip(first, second, strict=True)])
    if found.count < 2:
        return found, math.nan
    error = (found.high - found.mean) / float(stats.t.ppf(1 - LEVEL / 2, found.count - 1))
    if error == 0:  # the same difference with every seed
        return found, 1.0 if found.mean == 0 else 0.0
    return found, float(2 * stats.t.sf(abs(found.mean) / error, found.count - 1))


def holm(values: Sequence[float]) -> list[float]:
    """p-values adjusted so that the chance of any false finding among them stays at the level (Holm 1979).

    nan stands for a test that could not be made and is left out.
    """
    tests = sorted((p, i) for i, p in enumerate(values) if not math.isnan(p))
    adjusted, highest = list(values), 0.0
    for rank, (p, i) in enumerate(tests):
        highest = max(highest, min(1.0, p * (len(tests) - rank)))
        adjusted[i] = highest
    return adjusted


def compare(study: Study, reference: str = REFERENCE) -> list[PairedComparison]:
    """The variant of dimension `reference` against every other scaling of its group, except the baseline."""
    found: list[PairedComparison] = []
    for one in (variant for variant in study.variants if variant.dimension == reference):
        others = [
            v for v in study.variants if v.group == one.group and v.dimension not in (reference, "baseline") and v.runs
        ]
        made = [_compared(one, other) for other in others if one.top1().keys() & other.top1().keys()]
        ps = holm([comparison.p for comparison in made])
        found += [replace(comparison, adjusted=p) for comparison, p in zip(made, ps, strict=True)]
    return found


def verdict(study: Study, reference: str = REFERENCE) -> list[str]:
    """One sentence a group: the reference against the best of the others, and whether that is shown.

    The best one is chosen by the same runs, which favours it; the p-value is the one adjusted for all of them.
    """
    known, sentences = means(study), []
    comparisons = compare(study, reference)
    for name in dict.fromkeys(comparison.reference for comparison in comparisons):
        rivals = [comparison for comparison in comparisons if comparison.reference == name]
        best = max(rivals, key=lambda comparison: known[comparison.other].mean)
        sentences.append(_sentence(best, len(rivals)))
    return sentences


def _compared(one: Variant, other: Variant) -> PairedComparison:
    first, second = one.top1(), other.top1()
    seeds = sorted(first.keys() & second.keys())
    difference, p = paired([first[seed] for seed in seeds], [second[seed] for seed in seeds])
    return PairedComparison(one.name, other.name, other.dimension, one.group, difference, p, p, other.macs / one.macs)


def _sentence(best: PairedComparison, rivals: int) -> str:
    found, points = best.difference, abs(best.difference.mean) * 100
    rival = f"the best of {rivals} others, {best.other}," if rivals > 1 else f"the other, {best.other},"
    if abs(best.macs - 1) > EQUAL:
        rival += f" which has {best.macs - 1:+.1%} multiply-adds,"
    where = f"{best.group}: " if best.group else ""
    beats = "beats" if found.mean > 0 else "loses to" if found.mean < 0 else "differs from"
    said = f"{best.reference} {beats} {rival} by {points:.2f} points"
    if found.count < 2:
        return f"{where}{said} with one seed: nothing is known about others"
    sign = -1 if found.mean < 0 else 1
    low, high = sorted((sign * found.low * 100, sign * found.high * 100))
    adjusted = " after Holm" if rivals > 1 else ""
    doubt = "" if best.shown else "not shown that "
    return (
        f"{where}{doubt}{said} (95 % {low:.2f} to {high:.2f}, {found.count} seeds; p = {best.adjusted:.2g}{adjusted})"
    )
