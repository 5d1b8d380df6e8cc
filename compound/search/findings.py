"""What a coefficient search amounts to: the rule, how sure it is, and STEP 2, the same rule at larger φ."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compound.cost import cost
from compound.files import write_text
from compound.network import Network
from compound.scaling import CompoundRule, Rule, scale
from compound.trials import RankedTrial

PHIS = tuple(range(8))  # φ of Section 3.3's STEP 2, and the baseline


@dataclass(frozen=True)
class AccuracyInterval:
    """A mean accuracy and half the width of its 95 % interval."""

    mean: float
    half: float

    @property
    def ends(self) -> tuple[float, float]:
        return max(self.mean - self.half, 0.0), min(self.mean + self.half, 1.0)


def intervals(entries: Sequence[RankedTrial], images: int) -> dict[int, AccuracyInterval]:
    """By trial number. With several seeds, what other seeds would give: Student's t, with the spread of all candidates.

    With one seed nothing is known about other ones, and the interval is that of `images` images (Wilson 1927), whose
    middle is not quite the mean.
    """
    runs = {e.number: e.fields["accuracies"] for e in entries if e.state == "complete"}
    freedom = sum(len(accuracies) - 1 for accuracies in runs.values())
    if not freedom:
        return {number: _wilson(accuracies[0], images) for number, accuracies in runs.items()}
    squares = sum(statistics.variance(a) * (len(a) - 1) for a in runs.values() if len(a) > 1)
    wide = student(freedom) * math.sqrt(squares / freedom)
    return {number: AccuracyInterval(statistics.mean(a), wide / math.sqrt(len(a))) for number, a in runs.items()}


def student(freedom: int) -> float:
    """The 97.5 % point of Student's t; Abramowitz & Stegun 26.7.5 beyond two degrees, where closed forms end."""
    if freedom == 1:
        return math.tan(math.pi * 0.475)
    if freedom == 2:
        return 0.95 / math.sqrt(2 * 0.975 * 0.025)
    z, n = statistics.NormalDist().inv_cdf(0.975), float(freedom)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + math.fsum(term / n**power for power, term in enumerate(terms, 1))


def no_worse(entries: Sequence[RankedTrial], known: dict[int, AccuracyInterval]) -> int:
    """How many candidates besides the best the search cannot tell from it: their intervals meet."""
    complete = [entry for entry in entries if entry.number in known]
    low = known[complete[0].number].ends[0]
    return sum(known[entry.number].ends[1] >= low for entry in complete[1:])


def told_of_paper(paper: Mapping[str, Any] | None) -> str:
    """Where the paper's triple stands among the candidates, and at what cost."""
    triple = "the paper's α 1.2, β 1.1, γ 1.15"
    if paper is None:
        return f"{triple} could not be tried"
    low, high = paper["interval"]
    costs = "" if paper["candidate"] else f", at {paper['cost_factor']:.2f} times the baseline's cost"
    return (
        f"{triple}: {paper['accuracy']:.2%} ({low:.2%} to {high:.2%}), place {paper['place']} of {paper['of']}{costs}"
    )


def step_2(baseline: Network, rule: Rule) -> list[dict[str, Any]]:
    """The rule at φ = 0 … 7: resolution, parameters, multiply-adds, and those as a multiple of the baseline's."""
    rows = []
    base = cost(baseline).macs
    for phi in PHIS:
        network = scale(baseline, rule(phi)) if phi else baseline
        counted = cost(network)
        layers = sum(stage.layers for stage in network.stages)
        row = {"phi": phi, "resolution": network.resolution, "layers": layers, "params": counted.params}
        rows.append(row | {"macs": counted.macs, "macs_factor": round(counted.macs / base, 3)})
    return rows


def write_rule(rule: CompoundRule, found: dict[str, Any], path: Path) -> Path:
    """A rule file for `--rule`; `found` says where it comes from."""
    import yaml  # only writing a file needs it

    value = {"rule": "compound", **vars(rule), "found": found}
    return write_text(path, yaml.safe_dump(value, sort_keys=False, allow_unicode=True))


def _wilson(p: float, n: int, z: float = 1.96) -> AccuracyInterval:
    middle, spread = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return AccuracyInterval(middle / (1 + z * z / n), spread / (1 + z * z / n))
