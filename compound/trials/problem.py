"""What a search is made of: a problem says which networks there are, and judges them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from compound.network import Network

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Direction = Literal["maximize", "minimize"]


@dataclass(frozen=True)
class Candidate:
    """What a trial proposes. Equal parameters are the same configuration; `network` is valid and can be built."""

    parameters: dict[str, Any]
    network: Network


@dataclass(frozen=True)
class Outcome:
    """What a trial found: one value a direction, and further plain fields for the leaderboard."""

    values: tuple[float, ...]
    fields: dict[str, Any] = field(default_factory=dict)


class Reporter(Protocol):
    """An intermediate value, the larger `step` the surer; raises `optuna.TrialPruned` when the trial is hopeless."""

    def __call__(self, step: int, value: float) -> None: ...


def unheard(step: int, value: float) -> None:
    """`Reporter` of nobody."""


class Problem(Protocol):
    """A space and an objective. Worker processes receive it by pickling."""

    @property
    def name(self) -> str: ...

    @property
    def directions(self) -> tuple[Direction, ...]: ...

    def settings(self) -> Mapping[str, Any]:
        """Plain values that identify the search; a storage that holds other ones is refused with the difference."""
        ...

    def distributions(self) -> Mapping[str, "BaseDistribution"]:
        """The space, in a fixed order."""
        ...

    def candidate(self, parameters: Mapping[str, Any]) -> Candidate | None:
        """The network of these parameters; None, or a `CompoundError`, where there is none (it is not evaluated)."""
        ...

    def evaluate(self, candidate: Candidate, seed: int, report: Reporter) -> Outcome:
        """Judge a candidate. Whatever it raises is recorded with the trial, and the search goes on."""
        ...
