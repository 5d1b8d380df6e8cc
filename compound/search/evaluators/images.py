"""The images that a search trains and judges on; opened once in every process that needs them."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from compound.data import DataSet, open_data


@dataclass(frozen=True)
class SearchData:
    """What `open_data` is told. Candidates are judged on `holdout`, so it is larger than a training's: of 300 images,
    two networks that differ by a point cannot be told apart.
    """

    spec: str
    holdout: float = 0.2
    seed: int = 0
    channels: int | None = None
    root: Path | None = None
    download: bool = False

    def open(self) -> DataSet:
        return _opened(self)

    @property
    def settings(self) -> dict[str, Any]:
        """What identifies the images."""
        return {"data": self.spec, "holdout": self.holdout, "fingerprint": self.open().fingerprint()}


@lru_cache(maxsize=2)
def _opened(data: SearchData) -> DataSet:
    return open_data(
        data.spec, channels=data.channels, holdout=data.holdout, seed=data.seed, root=data.root, download=data.download
    )
