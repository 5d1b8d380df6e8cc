"""Quantities as people write them: 400M, 2G, 8GiB, 20ms."""

import math
import re
from dataclasses import dataclass

from compound.errors import UsageError

FACTORS = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12, "ki": 2.0**10, "mi": 2.0**20, "gi": 2.0**30}


def quantity(text: str, what: str = "value") -> float:
    """`"400M"` is 4e8; k, M, G (or B), T are decimal, Ki, Mi, Gi binary; a trailing B for bytes is allowed."""
    match = re.fullmatch(r"\s*([0-9.]+(?:e[+-]?[0-9]+)?)\s*([kmbgt]?i?)b?\s*", str(text).lower())
    try:
        number = float(match[1]) * FACTORS[match[2]] if match else math.nan
    except (ValueError, KeyError):
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise UsageError(f"{what} {text!r} is not a positive quantity; write e.g. 400M, 2G or 8GiB")
    return number


def seconds(text: str, what: str = "value") -> float:
    """`"20ms"` is 0.02; s, ms and us (or µs), with the unit always written."""
    match = re.fullmatch(r"\s*([0-9.]+(?:e[+-]?[0-9]+)?)\s*(s|ms|us|µs|μs)\s*", str(text).lower())
    try:
        number = float(match[1]) * {"s": 1.0, "ms": 1e-3}.get(match[2], 1e-6) if match else math.nan
    except ValueError:
        number = math.nan
    if not 0 < number <= LONGEST:
        raise UsageError(f"{what} {text!r} is not a time; write e.g. 20ms, 1.5s or 800us")
    return number


def brief_seconds(number: float, digits: int = 3) -> str:
    """0.0213 is `21.3 ms`."""
    for unit, factor in (("s", 1.0), ("ms", 1e-3)):
        if number >= factor:
            return f"{number / factor:.{digits}g} {unit}"
    return f"{number / 1e-6:.{digits}g} µs"


def or_none(number: float) -> float | None:
    """None for what is not a number, as files and tables have it."""
    return None if math.isnan(number) else number


def short(number: float, digits: int = 3) -> str:
    """Three digits and a letter: 385814752 is `386M`."""
    for letter, factor in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(number) >= factor:
            scaled = number / factor
            whole = 3 if scaled >= 100 else 2 if scaled >= 10 else 1
            return f"{scaled:.{max(digits - whole, 0)}f}{letter}"
    return f"{number:.{digits}g}"


LONGEST = 1e9  # of an interval, in its own unit
SECONDS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class Interval:
    """How often something is done: every so many seconds, or every so many steps."""

    seconds: float = math.inf
    steps: float = math.inf


def interval(text: str, what: str = "interval") -> Interval:
    """`"10m"`, `"30s"` and `"2h"` are times; `"500"` and `"500steps"` are steps."""
    match = re.fullmatch(r"\s*([0-9.]+)\s*(s|m|h|steps?|)\s*", text.lower())
    try:
        number = float(match[1]) if match else 0.0
    except ValueError:
        number = 0.0
    if match and 0 < number <= LONGEST:
        if match[2] in SECONDS:
            return Interval(seconds=number * SECONDS[match[2]])
        if number == int(number):
            return Interval(steps=number)
    raise UsageError(f"{what} {text!r} is neither a time nor a number of steps; write e.g. 10m, 30s or 500")


def limit_text(name: str, value: float, limit: float | None = None) -> str:
    """The value of a budget's limit `name`, with its unit where it is a time.

    `limit`: what it is read beside; a value that is another than this one has as many digits as show it.
    """
    written, read = (brief_seconds, seconds) if name == "latency" else (short, quantity)
    if limit is None or value == limit:
        return written(value)
    apart = (n for n in range(3, 8) if read(written(value, n)) != read(written(limit, n)))
    return written(value, next(apart, 3))
