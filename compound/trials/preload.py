"""What the process that forks a search's workers imports, once for all of them."""

import pickle
from typing import Any

from compound.imports import are_spared


def preloaded(search: object, storage: str) -> list[str]:
    """The modules that workers on `search` need, torch among them where it trains networks: seconds for each worker."""
    first = ["compound.spared"] if are_spared() else []
    database = ["sqlalchemy.orm", "alembic.script"] if "://" in storage else []
    return [*first, "compound.trials.engine", *database, *modules_of(search)]


def modules_of(value: object) -> list[str]:
    """The modules of this package that define what `value` holds."""
    found = _Modules()
    found.dump(value)
    return sorted(name for name in found.names if name.startswith("compound."))


class _Modules(pickle.Pickler):
    """Notes where the classes are defined of all that is pickled, and keeps nothing else."""

    def __init__(self) -> None:
        super().__init__(_Nowhere())
        self.names: set[str] = set()

    def reducer_override(self, value: Any) -> Any:
        self.names.add(type(value).__module__)
        return NotImplemented


class _Nowhere:
    def write(self, data: bytes, /) -> int:
        return len(data)
