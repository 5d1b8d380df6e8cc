"""What no verb is asked for, refused before any begins: arguments of no characters, numbers that are none."""

import math
from collections.abc import Sequence
from typing import Any

from compound.errors import UsageError


def refuse_empty(arguments: Sequence[str]) -> None:
    """Raise `UsageError` for an argument of no characters, mostly a shell's variable that is not set.

    As a path it would be the folder one is in, as a token none, and as a budget no limit.
    """
    for number, word in enumerate(arguments):
        name = word[:-1] if word.startswith("--") and word.endswith("=") else None
        if word == "":
            before = arguments[number - 1] if number else ""
            name = before if before.startswith("-") else f"argument {number + 1}"
        if name is not None:
            raise UsageError(f"{name} is empty; give it a value, or leave it out")


def hold_finite(command: Any) -> None:
    """Let every option that takes a fraction refuse what is not a number, or infinite: `min` and `max` let NaN pass."""
    for verb in getattr(command, "commands", {}).values():
        hold_finite(verb)
    for option in command.params:
        if "float" in option.type.name and option.callback is None:
            option.callback = finite


def finite(_context: Any, option: Any, value: Any) -> Any:
    """`value`, a number, several of them, or None. Raises `UsageError` where one is not finite."""
    for number in value if isinstance(value, list | tuple) else [value]:
        if number is not None and not math.isfinite(number):
            raise UsageError(f"{option.opts[-1]} {number} is not a finite number; give one, or leave the option out")
    return value
