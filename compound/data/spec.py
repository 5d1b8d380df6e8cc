"""The question that opens a data set, as a value: a data set remembers it, and a run stores it whole."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compound.data.errors import DataError
from compound.data.identity import Identity

if TYPE_CHECKING:
    from compound.data.open import DataSet

HELD = 0.05  # of the training images, unless something else is asked for


@dataclass(frozen=True)
class DataSpec:
    """Which images, as what, and how they are divided. Raises `DataError` for a holdout that is no such number.

    `where`: `fashion6k` (comes with the package), a torchvision name such as `cifar10` (looked for below `root`), a
        folder with a folder a class (perhaps within train/ and test/), a folder of MNIST's four idx files, a CSV file,
        an .npz of arrays (`compound.data.arrays`), a cache (`compound.data.cache`), tar shards or a folder of them,
        such as `s3://bucket/{train-{000..099},val-{00..04}}.tar` (`compound.data.shards`).
        A folder called like a data set is written with its path: `./mnist`.
    `channels`: 1 or 3, what images are converted to; by default what the data has, in an .npz any number.
    `holdout`: the share of each class's training images that is set aside, in [0, 1), or from 1 on how many in all
        (the paper's minival: 25,022). A holdout that the data comes with is taken as it is.
    `most`: images that a share may hold out at most. A data set that is open has their number as its holdout instead.
    `seed`: of the holdout, and of the test split where the data has none.
    `root`, `download`: where torchvision's data sets lie, and whether it may fetch them.
    `relabel`, `drop`: lists of training images that get another label, or are left out (`compound.data.corrections`).
    `by`: what tells images apart when parts are split off; by default what suits the data, content for a folder.
    """

    where: str
    channels: int | None = None
    holdout: float = HELD
    seed: int = 0
    root: Path | None = None
    download: bool = False
    by: Identity | None = None
    relabel: Path | None = None
    drop: Path | None = None
    most: int | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.holdout) and self.holdout >= 0) or (
            self.holdout >= 1 and self.holdout != int(self.holdout)
        ):
            raise DataError(
                f"holdout {self.holdout} is neither a share nor a number; use 0 for none, 0.05, or e.g. 500"
            )

    def open(self) -> "DataSet":
        """The data set. Raises `DataError`."""
        from compound.data.open import opened  # every reader of images, which the value itself does not need

        return opened(self)

    def to_mapping(self) -> dict[str, Any]:
        """All fields as plain values; `where` is `spec`, as the files of runs have it."""
        lists = {"relabel": self.relabel, "drop": self.drop}
        return {
            "spec": self.where, "channels": self.channels, "holdout": self.holdout, "split_seed": self.seed,
            "root": None if self.root is None else str(self.root), "download": self.download, "split_by": self.by,
            **{name: str(path) for name, path in lists.items() if path is not None},
        }  # fmt: skip

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any], seed: int) -> "DataSpec":
        """What `to_mapping` gave; of an older version what it lacks, `seed` in place of the seed of its splits."""
        root = given.get("root")
        relabel, drop = (Path(given[name]) if given.get(name) is not None else None for name in ("relabel", "drop"))
        return cls(
            str(given["spec"]),
            given["channels"],
            given.get("holdout", HELD),
            given.get("split_seed", seed),
            None if root is None else Path(root),
            given.get("download", False),
            given.get("split_by", "position"),
            relabel,
            drop,
        )
