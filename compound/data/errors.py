"""What can be wrong with data, each as one sentence that names the place and the remedy."""

from compound.errors import CompoundError, UsageError


class DataError(UsageError):
    """Data that cannot be opened as asked."""


class DamagedImage(CompoundError):
    """An image that cannot be decoded: `path` names it and `reason` says why."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)  # the two arguments, so that the error survives pickling out of a worker
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path} is damaged: {self.reason}; replace or remove it"
