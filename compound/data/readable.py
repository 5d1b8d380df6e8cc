"""A look at images before they are trained on: what cannot be read is said before the first step."""

import numpy as np
import torch

from compound.data.errors import DamagedImage
from compound.data.open import DataSet
from compound.data.source import ArraySource, Source
from compound.errors import CompoundError

ALL = 200  # images up to which a part is read whole; of a larger one some
SOME = 64
MOST = 0.1  # of some: a share that cannot be chance where the limit is 0.01


def refuse_unreadable(data: DataSet, limit: float) -> None:
    """Raise `CompoundError` where more than `limit` of a part's images cannot be read.

    One may be damaged in any case. Of a part of more than `ALL` images `SOME` are read, of which `MOST` may be damaged;
    the rest is seen to while it is trained on.
    """
    for part, source in (("train on", data.train), ("choose by", data.holdout), ("test with", data.test)):
        if isinstance(source, ArraySource):
            continue
        whole = len(source) <= ALL
        chosen = np.arange(len(source)) if whole else np.linspace(0, len(source) - 1, SOME).astype(np.int64)
        damaged = _damaged(source, chosen)
        if len(damaged) > max((limit if whole else max(limit, MOST)) * len(chosen), 1):
            of = f"{len(chosen):,}" if whole else f"{len(chosen):,} that were looked at"
            first = "; ".join(f"{error.path}: {error.reason}" for error in damaged[:3])
            raise CompoundError(
                f"{len(damaged):,} of {of} images to {part} cannot be read ({first}{'; …' * (len(damaged) > 3)}); "
                f"that is more than {limit:.1%}, so repair or remove them, or raise the limit (--damaged-limit)"
            )


def first_readable(source: Source) -> torch.Tensor:
    """The first image that can be read, uint8 (C, H, W). Raises `DamagedImage`, of the first, where none can."""
    wrong = None
    for index in range(len(source)):
        try:
            return source.load(index)
        except DamagedImage as error:
            wrong = wrong or error
    raise wrong or CompoundError("there is no image to look at; give some")


def _damaged(source: Source, chosen: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[DamagedImage]:
    found = []
    load = source.ahead(chosen)
    for index in chosen.tolist():
        try:
            load(index)
        except DamagedImage as error:
            found.append(error)
    return found
