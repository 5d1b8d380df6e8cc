"""Candidates judged by smaller relatives of theirs, which train faster."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from compound.network import Network
from compound.scaling import CompoundRule, Rule, scale
from compound.search.evaluators.base import Evaluator
from compound.trials import Reporter


@dataclass(frozen=True)
class Shrunken:
    """`evaluator` on the network that `rule` makes of a candidate at a negative φ."""

    evaluator: Evaluator
    phi: float = -1.0
    rule: Rule = field(default_factory=CompoundRule)

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"phi": self.phi, "rule": repr(self.rule), **self.evaluator.settings}

    def __call__(self, network: Network, seed: int, report: Reporter) -> float:
        return self.evaluator(scale(network, self.rule(self.phi)), seed, report)
