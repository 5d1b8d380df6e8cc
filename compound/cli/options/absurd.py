"""What no verb is asked for, refused before any begins: arguments of no characters, numbers that mean nothing."""

import math
from collections.abc import Sequence
from typing import Any

from compound.errors import UsageError
from compound.mapping import shown_number

NUMERIC = ("int", "integer", "float")
MOST = 10**12  # of any number but a quantity, which may be bytes or multiply-adds


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


def hold_sensible(command: Any) -> None:
    """Let every option that takes a number refuse what is none, infinite or beyond all sense.

    `min` and `max` of an option let NaN pass, and most have no `max`.
    """
    for verb in getattr(command, "commands", {}).values():
        hold_sensible(verb)
    for option in command.params:
        if option.type.name.split()[0] in NUMERIC and option.callback is None:
            option.callback = sensible


def sensible(_context: Any, option: Any, value: Any) -> Any:
    """`value`, a number, several of them, or None. Raises `UsageError` where one is not finite, or beyond `MOST`."""
    for number in value if isinstance(value, list | tuple) else [value]:
        if number is None:
            continue
        if isinstance(number, float) and not math.isfinite(number):
            raise UsageError(f"{option.opts[-1]} {number} is not a finite number; give one, or leave the option out")
        if abs(number) > MOST:
            raise UsageError(f"{option.opts[-1]} {shown_number(number)} is beyond all sense; use at most {MOST:,}")
    return value
