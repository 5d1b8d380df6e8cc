"""The fine-tuning protocol of Kornblith et al. 2019: rate and weight decay by validation, for each data set anew."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from optuna.distributions import CategoricalDistribution

from compound.errors import UsageError
from compound.network import Network
from compound.notation import dump_architecture
from compound.trials import Candidate, Direction, Outcome, RankedTrial, Reporter

STEPS, BATCH = 20_000, 256
RATES = (1e-4, 1e-1)  # peak rates for 256 images a step
DECAYS = (1e-6, 1e-3)  # by how much a step at the peak rate shrinks the weights; and none


class FineTuning(Protocol):
    """A network, a peak rate and a weight decay to accuracy and loss on the held-out images."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """Plain values that identify it (weights, data, recipe, …); part of what makes a search this search."""
        ...

    def __call__(
        self, network: Network, rate: float, weight_decay: float, seed: int, report: Reporter
    ) -> tuple[float, float]: ...


@dataclass(frozen=True)
class TransferProblem:
    """Which rate and weight decay fine-tune `network` best.

    The grid is Kornblith's: `rates` from 1e-4 to 1e-1 and `decays`, of which one is none and the others go from 1e-6 to
    1e-3, both evenly by logarithm. A decay is divided by its rate (Chen et al. 2020, SimCLR, who repeat
    the protocol), so that the two can be chosen apart.
    """

    network: Network
    evaluator: FineTuning
    rates: int = 7
    decays: int = 8
    directions: tuple[Direction, ...] = ("maximize",)

    def __post_init__(self) -> None:
        for name, count, usual in (("rates", self.rates, 7), ("decays", self.decays, 8)):
            if count < 1:
                raise UsageError(f"{name} {count} leaves nothing to try; use 1 or more, usually {usual}")

    @property
    def name(self) -> str:
        return f"transfer of {self.network.name}"

    def settings(self) -> Mapping[str, Any]:
        return {"network": dump_architecture(self.network), "evaluator": dict(self.evaluator.settings)}

    def distributions(self) -> Mapping[str, CategoricalDistribution]:
        decays = [0.0, *spaced(*DECAYS, self.decays - 1)]
        return {
            "rate": CategoricalDistribution(spaced(*RATES, self.rates)),
            "decay": CategoricalDistribution(decays),
        }

    def candidate(self, parameters: Mapping[str, Any]) -> Candidate:
        return Candidate(dict(parameters), self.network)

    def evaluate(self, candidate: Candidate, seed: int, report: Reporter) -> Outcome:
        """Accuracy on the held-out images after fine-tuning; the loss there decides between equals."""
        rate, decay = weights_of(candidate.parameters)
        accuracy, loss = self.evaluator(self.network, rate, decay, seed, report)
        return Outcome((accuracy,), {"loss": loss if math.isfinite(loss) else None, "weight_decay": decay})


def weights_of(parameters: Mapping[str, Any]) -> tuple[float, float]:
    """(rate, weight decay) as a recipe has them."""
    rate, decay = float(parameters["rate"]), float(parameters["decay"])
    return rate, decay / rate


def spaced(low: float, high: float, count: int) -> list[float]:
    """`count` numbers from `low` to `high`, evenly by logarithm, to four digits; a single one lies in the middle."""
    first, last = math.log10(low), math.log10(high)
    shares = [i / (count - 1) for i in range(count)] if count > 1 else [0.5] * count
    return [float(f"{10 ** (first + share * (last - first)):.4g}") for share in shares]


def epochs_of(steps: int, batch: int, images: int) -> int:
    """The epochs, whole and at least one, that come nearest to `steps`."""
    if steps < 1:
        raise UsageError(f"steps {steps} trains nothing; use 1 or more, as {STEPS:,}")
    return max(round(steps / max(images // batch, 1)), 1)


def chosen(entries: list[RankedTrial]) -> RankedTrial | None:
    """The most accurate trial, of equal ones that of the smallest loss; None when none was completed."""
    complete = [entry for entry in entries if entry.state == "complete" and entry.values]

    def merit(entry: RankedTrial) -> tuple[float, float, int]:
        loss = entry.fields["loss"]
        return (entry.values[0] if entry.values else 0.0), -math.inf if loss is None else -loss, -entry.number

    return max(complete, key=merit, default=None)


def at_an_end(problem: TransferProblem, entry: RankedTrial) -> str | None:
    """Which end of the rates the chosen one is, where a better one may lie beyond."""
    rates = problem.distributions()["rate"].choices
    ends = {rates[0]: "lowest", rates[-1]: "highest"} if len(rates) > 1 else {}
    return ends.get(entry.parameters["rate"])


def grid(problem: TransferProblem, entries: list[RankedTrial]) -> str:
    """Held-out accuracy by decay and rate, in lines."""
    rates, decays = (d.choices for d in problem.distributions().values())
    found = {(e.parameters["rate"], e.parameters["decay"]): e.values[0] for e in entries if e.values}
    lines = ["decay \\ rate " + "".join(f"{rate:>10.2g}" for rate in rates)]
    for decay in decays:
        cells = (found.get((rate, decay)) for rate in rates)
        lines.append(f"{decay:>12.2g} " + "".join(f"{'–' if c is None else format(c, '.1%'):>10}" for c in cells))
    return "\n".join(lines)
