"""How a search learns how accurate a network is."""

from collections.abc import Mapping
from typing import Any, Protocol

from compound.network import Network
from compound.trials import Reporter


class Evaluator(Protocol):
    """Network to accuracy in [0, 1]: full training, a short one, inherited weights, a proxy."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """Plain values that identify it (data, epochs, …); part of what makes a search this search."""
        ...

    def __call__(self, network: Network, seed: int, report: Reporter) -> float: ...
