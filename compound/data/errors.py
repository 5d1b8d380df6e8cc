"""What can be wrong with data, each as one sentence that names the place and the remedy."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from compound.errors import CompoundError, UsageError

_faults: ContextVar[list[str] | None] = ContextVar("faults", default=None)


class DataError(UsageError):
    """Data that cannot be opened as asked."""


class AbsentData(DataError):
    """There is nothing where the data should lie."""


class DamagedImage(CompoundError):
    """An image that cannot be decoded: `path` names it and `reason` says why."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)  # the two arguments, so that the error survives pickling out of a worker
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path} is damaged: {self.reason}; replace or remove it"


def refuse(said: str) -> None:
    """Raise `DataError`; where faults are listed, note it, and the caller goes on without what is wrong."""
    found = _faults.get()
    if found is None:
        raise DataError(said)
    found.append(said)


@contextmanager
def listed_faults() -> Iterator[list[str]]:
    """What would refuse a data set is listed instead, so that all of it can be told at once."""
    found: list[str] = []
    token = _faults.set(found)
    try:
        yield found
    finally:
        _faults.reset(token)
