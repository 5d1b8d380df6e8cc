"""What every reader returns before `open_data` divides and checks it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from compound.data.source import Source


@dataclass(frozen=True)
class Tables:
    """The parts a data set comes with. `channels` is what its images have; `None` parts are yet to be split off.

    `left_out` has what holds images and cannot be used, with the reasons.
    """

    name: str
    classes: tuple[str, ...]
    channels: int
    train: Source
    holdout: Source | None
    test: Source | None
    left_out: Mapping[str, str] = field(default_factory=dict)
