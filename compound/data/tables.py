"""What every reader returns before `open_data` divides and checks it."""

from dataclasses import dataclass

from compound.data.source import Source


@dataclass(frozen=True)
class Tables:
    """The parts a data set comes with. `channels` is what its images have; `None` parts are yet to be split off."""

    name: str
    classes: tuple[str, ...]
    channels: int
    train: Source
    holdout: Source | None
    test: Source | None
