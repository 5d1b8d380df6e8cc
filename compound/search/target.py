"""What a candidate of a coefficient search must cost."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from compound.errors import UsageError
from compound.network import Network
from compound.search.spending import COUNTED

THEORY = "theory"  # α · β² · γ²


@dataclass(frozen=True)
class Target:
    """What a candidate must cost: `factor` times the baseline in terms of `measure`, within `tolerance` (a share).

    `measure` is "theory" (d · w² · r², Section 3.2), one of `COUNTED` on the rounded network, or any name with
    `own`, a function of the network such as a latency in seconds.
    """

    factor: float = 2.0
    tolerance: float = 0.05
    measure: str = "macs"
    own: Callable[[Network], float] | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.factor) and self.factor > 1):
            raise UsageError(f"target cost {self.factor:g}x does not scale up; use e.g. 2x")
        if not 0 < self.tolerance < 1:
            raise UsageError(f"tolerance {self.tolerance:g} is not a share; use e.g. 0.05 for 5 %")
        if self.own is None and self.measure != THEORY and self.measure not in COUNTED:
            raise UsageError(f"cost {self.measure!r} is unknown; use {', '.join(COUNTED)} or {THEORY}")

    def admits(self, factor: float) -> bool:
        return abs(factor / self.factor - 1) <= self.tolerance


TWICE = Target()  # Section 3.3: "twice more resources"
