"""STEP 1 of Section 3.3: α, β, γ at a fixed φ, by the accuracy of small networks of about equal cost."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, Literal

from optuna.distributions import FloatDistribution

from compound.cost import cost
from compound.errors import NetworkError, UsageError
from compound.network import Network
from compound.notation import dump_architecture
from compound.scaling import CompoundRule, scale
from compound.search.evaluators.base import Evaluator
from compound.search.spending import COUNTED
from compound.search.target import THEORY, TWICE, Target
from compound.trials import Candidate, Direction, Outcome, Reporter, choices, configuration, unheard

AFTER_EPOCHS = 10_000  # reports of whole seeds come after those of the first seed's epochs
PAPER = CompoundRule()  # what the paper found for EfficientNet-B0
LATER = range(2, 8)  # φ of STEP 2


@dataclass(frozen=True)
class CoefficientProblem:
    """Which α, β, γ make the most accurate network of the target's cost at φ.

    `space` "grid" is the paper's: α, β, γ in steps of `step`. "shares" says which share of the cost goes into depth,
    and of the rest into width, in tenths; the factor that meets the target is solved for. It has two dimensions and few
    infeasible points, as samplers that learn like it. "paper" is the paper's triple alone, whatever it costs: what
    others are held against.

    After rounding many triples mean the same network at φ. One training judges them all, and the one whose counted
    cost at φ = 2 … 7 keeps nearest to the target's powers stands for them: B0's network of 1.2, 1.1, 1.15 is also that
    of α = 1.05, which at φ = 7 costs a third of 2⁷ times the baseline, and of α = 1.25, which costs more throughout.
    """

    baseline: Network
    evaluator: Evaluator
    phi: float = 1.0
    target: Target = TWICE
    space: Literal["grid", "shares", "paper"] = "grid"
    step: float = 0.05
    seeds: int = 1
    directions: tuple[Direction, ...] = ("maximize",)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.phi) and self.phi > 0):
            raise UsageError(f"phi {self.phi:g} does not scale up; use 1, as the paper does, or more")
        if not 0.001 <= self.step <= 1:
            raise UsageError(f"step {self.step:g} is not a step between coefficients; use e.g. 0.05")
        if self.seeds < 1:
            raise UsageError(f"seeds {self.seeds} trains nothing; use 1 or more")

    @property
    def name(self) -> str:
        return f"{'the paper’s ' if self.space == 'paper' else ''}coefficients of {self.baseline.name}"

    def settings(self) -> Mapping[str, Any]:
        target = {"factor": self.target.factor, "tolerance": self.target.tolerance, "cost": self.target.measure}
        target |= getattr(self.target.own, "settings", {})
        return {
            "baseline": dump_architecture(self.baseline),
            "phi": self.phi,
            "target": target,
            "seeds": self.seeds,
            "evaluator": dict(self.evaluator.settings),
        }

    def distributions(self) -> Mapping[str, FloatDistribution]:
        if self.space == "shares":
            return {name: FloatDistribution(0, 1, step=0.1) for name in ("depth_share", "width_share_of_rest")}
        if self.space == "paper":
            return {name: FloatDistribution(value, value, step=self.step) for name, value in vars(PAPER).items()}
        # At φ each dimension alone may take the whole cost, and a little more for what rounding takes away.
        most = self.target.factor * (1 + self.target.tolerance) ** 2
        ends = {"alpha": most ** (1 / self.phi), "beta": most ** (0.5 / self.phi), "gamma": most ** (0.5 / self.phi)}
        steps = {name: math.floor((end - 1) / self.step + 1e-9) for name, end in ends.items()}
        return {n: FloatDistribution(1, round(1 + count * self.step, 10), step=self.step) for n, count in steps.items()}

    def candidate(self, parameters: Mapping[str, Any]) -> Candidate | None:
        found = self.candidates.get(configuration(parameters))
        return Candidate(dict(parameters), found[1]) if found else None

    def rule(self, parameters: Mapping[str, Any]) -> CompoundRule:
        """The rule of a feasible configuration, whichever stands for its network."""
        rule = self._of_shares(parameters) if self.space == "shares" else self._of_grid(parameters)
        if rule is None:
            raise UsageError(f"{configuration(parameters)} is no candidate of {self.name}")
        return rule

    def same(self, rule: CompoundRule) -> list[CompoundRule]:
        """The rules among the candidates that make the same network at φ as `rule`."""
        network = self.network(rule)
        return list(self._made.get(network, {}).values()) if network else []

    def network(self, rule: CompoundRule) -> Network | None:
        """The baseline by `rule` at φ; None where it cannot be made."""
        return self._scaled(rule, self.phi)

    @cached_property
    def candidates(self) -> dict[str, tuple[CompoundRule, Network]]:
        """All feasible configurations, one a network. Raises `UsageError` when there are none."""
        found: dict[str, tuple[CompoundRule, Network]] = {}
        for network, made in self._made.items():
            key, rule = min(made.items(), key=lambda one: (self._strays(one[1]) if len(made) > 1 else 0.0, one[0]))
            found[key] = (rule, network)
        return found

    @cached_property
    def _made(self) -> dict[Network, dict[str, CompoundRule]]:
        """Every network of the target's cost, with the configurations that make it."""
        found: dict[Network, dict[str, CompoundRule]] = {}
        nearest_miss = math.inf
        for parameters in self._all():
            rule = self._of_shares(parameters) if self.space == "shares" else self._of_grid(parameters)
            network = self.network(rule) if rule else None
            if rule is None or network is None:
                continue
            factor = self.cost_factor(rule, network)
            if self.space == "paper" or self.target.admits(factor):
                found.setdefault(network, {})[configuration(parameters)] = rule
            elif abs(factor - self.target.factor) < abs(nearest_miss - self.target.factor):
                nearest_miss = factor
        if not found:
            near = f"the nearest costs {nearest_miss:.3g}x" if nearest_miss < math.inf else "none could be made"
            raise UsageError(
                f"no coefficients scale {self.baseline.name} at φ {self.phi:g} to {self.target.factor:g}x of its "
                f"{self.target.measure} within {self.target.tolerance:.0%}; {near}: raise --tolerance or lower --step"
            )
        return found

    def _strays(self, rule: CompoundRule) -> float:
        """How far counted multiply-adds at φ = 2 … 7 are from the target's powers: the sum of the logarithms' sizes."""
        total = 0.0
        for phi in LATER:
            network = self._scaled(rule, phi)
            if network:
                total += abs(math.log(cost(network).macs / self._baseline_macs) - self._growth * phi)
        return total

    @property
    def _growth(self) -> float:
        return math.log(self.target.factor) / self.phi

    def cost_factor(self, rule: CompoundRule, network: Network) -> float:
        """What the target holds against a candidate: its cost as a multiple of the baseline's."""
        if self.target.measure == THEORY and self.target.own is None:
            return rule(self.phi).theory
        return self._measured(network) / self._baseline_cost

    def evaluate(self, candidate: Candidate, seed: int, report: Reporter) -> Outcome:
        """The mean accuracy over `seeds` trainings; the first one's epochs and every mean are reported."""
        accuracies: list[float] = []
        for number in range(self.seeds):
            said = report if number == 0 else unheard
            accuracies.append(self.evaluator(candidate.network, seed + number, said))
            if self.seeds > 1:
                report(AFTER_EPOCHS + number, sum(accuracies) / len(accuracies))
        rule, network = self.rule(candidate.parameters), candidate.network
        counted = cost(network)
        fields: dict[str, Any] = {**vars(rule), "resolution": network.resolution}
        fields |= {"cost_factor": round(self.cost_factor(rule, network), 4)}
        fields |= {"params": counted.params, "macs": counted.macs, "accuracies": accuracies}
        return Outcome((sum(accuracies) / len(accuracies),), fields)

    def _all(self) -> Iterator[dict[str, float]]:
        distributions = self.distributions()
        for values in product(*(choices(d) or () for d in distributions.values())):
            yield dict(zip(distributions, values, strict=True))

    def _of_grid(self, parameters: Mapping[str, float]) -> CompoundRule | None:
        """The triple itself; far from the target in theory it is not worth counting."""
        if set(parameters.values()) == {1.0}:
            return None
        rule = CompoundRule(**parameters)
        if self.space == "paper":
            return rule
        slack = 1 + self.target.tolerance if self.target.measure == THEORY else 1.5
        return rule if 1 / slack <= rule(self.phi).theory / self.target.factor <= slack else None

    def _of_shares(self, parameters: Mapping[str, float]) -> CompoundRule | None:
        """The rule that divides the cost by these shares and meets the target as nearly as the staircase allows."""
        depth = parameters["depth_share"]
        width = (1 - depth) * parameters["width_share_of_rest"]

        def rule(s: float) -> CompoundRule:
            triple = (s**depth, s ** (width / 2), s ** ((1 - depth - width) / 2))
            return CompoundRule(*(max(round(value, 4), 1.0) for value in triple))

        def factor(s: float) -> float:
            network = self._scaled(rule(s), self.phi)
            return self.cost_factor(rule(s), network) if network else math.inf

        low, high = 1.001, 2 * self.target.factor ** (1 / self.phi)
        for _ in range(14):
            middle = math.sqrt(low * high)
            low, high = (middle, high) if factor(middle) < self.target.factor else (low, middle)
        return rule(min((low, high), key=lambda s: abs(math.log(factor(s) / self.target.factor))))

    def _scaled(self, rule: CompoundRule, phi: float) -> Network | None:
        try:
            return scale(self.baseline, rule(phi), name=f"{self.baseline.name} φ{phi:g}")
        except NetworkError:
            return None

    @cached_property
    def _baseline_macs(self) -> int:
        return cost(self.baseline).macs

    @cached_property
    def _baseline_cost(self) -> float:
        return self._measured(self.baseline)

    def _measured(self, network: Network) -> float:
        if self.target.own:
            return self.target.own(network)
        return COUNTED[self.target.measure](cost(network))
