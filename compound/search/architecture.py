"""The search for a baseline (Section 4, the way to EfficientNet-B0): space, objective, evaluator."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from compound.cost import cost
from compound.errors import NetworkError, UsageError
from compound.network import Network
from compound.quantity import limit_text
from compound.search.evaluators.base import Evaluator
from compound.search.objective import Objective
from compound.search.space import Space
from compound.search.spending import DeviceLatency
from compound.trials import Candidate, Direction, Outcome, Reporter

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

DRAWS = 300  # networks of a space that are looked at before it is said to have none of the cost


@dataclass(frozen=True)
class ArchitectureSearch:
    """Which network of `space` is best by `objective`, where `evaluator` says how accurate one is.

    Candidates that cost less than `least` or more than `most` times the objective's target are not evaluated.
    """

    space: Space
    objective: Objective
    evaluator: Evaluator
    least: float = 0.0
    most: float = float("inf")
    name: str = field(default="architecture")

    @property
    def directions(self) -> tuple[Direction, ...]:
        return self.objective.directions

    def settings(self) -> Mapping[str, Any]:
        objective = {name: value for name, value in vars(self.objective).items() if name != "measure"}
        if objective["exponent_below"] is None:  # not asked for: the same search as before there was one
            del objective["exponent_below"]
        objective |= getattr(self.objective.measure, "settings", {})
        return {
            "space": f"{self.space.name} {self.space.fingerprint}",
            "objective": objective,
            "window": [self.least, str(self.most)],
            "evaluator": dict(self.evaluator.settings),
        }

    def distributions(self) -> Mapping[str, "BaseDistribution"]:
        return self.space.distributions()

    def candidate(self, parameters: Mapping[str, Any]) -> Candidate | None:
        """None outside the window of cost. Parameters without effect have one value only, see `Space.canonical`."""
        chosen = self.space.canonical(parameters)
        if chosen != dict(parameters):  # the same network stands in the space under its canonical parameters
            return None
        network = self.space.network(chosen)
        if self.admits(network):
            return Candidate(chosen, network)
        return None

    def admits(self, network: Network) -> bool:
        """Whether the network can be built and lies in the window of cost."""
        try:
            spent = self.objective.spent(network)
        except NetworkError:
            return False
        return self.least * self.objective.target <= spent <= self.most * self.objective.target

    def evaluate(self, candidate: Candidate, seed: int, report: Reporter) -> Outcome:
        accuracy = self.evaluator(candidate.network, seed, report)
        spent = self.objective.spent(candidate.network)
        counted = cost(candidate.network)
        fields = {
            "network": candidate.network.name,
            "accuracy": accuracy,
            "macs": counted.macs,
            "params": counted.params,
            "activations": counted.activations,
            "memory": counted.memory(),
        }
        return Outcome(self.objective.values(accuracy, spent), fields | {self.objective.cost: spent})


def affordable(problem: ArchitectureSearch, seed: int) -> None:
    """Raise `UsageError` where the space has no network in the window, before anything is trained."""
    objective, costs = problem.objective, []
    if isinstance(objective.measure, DeviceLatency):
        objective.measure.refuse_missing(problem.space)
    for _, (_, network) in zip(range(DRAWS), problem.space.networks(random.Random(seed)), strict=False):
        if problem.admits(network):
            return
        costs.append(objective.spent(network))
    said = partial(limit_text, objective.cost)
    raise UsageError(
        f"none of {DRAWS} networks of {problem.space.name} costs {problem.least:g} to {problem.most:g} times "
        f"{said(objective.target)} {objective.cost}; theirs is {said(min(costs))} to {said(max(costs))}: "
        "change the target, --least or --most"
    )
