"""What every reader returns before `open_data` divides and checks it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from compound.data.errors import DataError
from compound.data.identity import Identity
from compound.data.source import Source


@dataclass(frozen=True)
class Tables:
    """The parts a data set comes with. `channels` is what its images have; `None` parts are yet to be split off.

    What comes to be judged by alone has no `train`, and `lacking` says what is to be done to train on it.
    `left_out` has what holds images and cannot be used, with the reasons. `by` is what tells the images apart, and
    `base` the folder that names of files are within.
    """

    name: str
    classes: tuple[str, ...]
    channels: int
    train: Source | None
    holdout: Source | None
    test: Source | None
    left_out: Mapping[str, str] = field(default_factory=dict)
    by: Identity = "position"
    base: Path | None = None
    lacking: str = ""

    def to_train(self) -> Source:
        """Raises `DataError` where there is none."""
        if self.train is None:
            raise DataError(self.lacking)
        return self.train
