"""What goes wrong because of what was asked, as opposed to a fault in this program."""


class CompoundError(Exception):
    """A failure a user can act on: one sentence with what, where, which value, what to do. Exit code 1."""

    exit_code = 1


class Stopped(CompoundError):
    """What was asked to stop has stopped; the message says how it goes on. Nothing went wrong. Exit code 130."""

    exit_code = 130


class UsageError(CompoundError):
    """The request itself cannot be carried out as written. Exit code 2."""

    exit_code = 2


class NetworkError(UsageError):
    """A network, stage or block that is not valid; the message names stage, field, value and remedy."""


class TooLargeError(NetworkError):
    """A network beyond the bounds of `compound.bounds`; the message names the bound."""


class BudgetError(UsageError):
    """No network of the asked kind fits the budget."""


class InUseError(UsageError):
    """Another process has it, and may soon be done with it."""
