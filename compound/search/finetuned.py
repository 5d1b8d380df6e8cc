"""Accuracy and loss of a fine-tuning, as `compound.search.transfer` asks for them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from compound.network import Network
from compound.training.short import ShortTraining
from compound.trials import Reporter


@dataclass(frozen=True)
class FineTuned:
    """`training` with another rate and weight decay: see `compound.search.transfer.FineTuning`."""

    training: ShortTraining

    @property
    def settings(self) -> Mapping[str, Any]:
        return self.training.settings

    def __call__(
        self, network: Network, rate: float, weight_decay: float, seed: int, report: Reporter
    ) -> tuple[float, float]:
        recipe = replace(self.training.recipe, rate=rate, weight_decay=weight_decay)
        return replace(self.training, recipe=recipe).judged(network, seed, report)
