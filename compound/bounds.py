"""What files of strangers may ask for: bounds of every verb, each moved by an environment variable of its name."""

import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import is_dataclass
from functools import lru_cache

from compound.errors import TooLargeError, UsageError
from compound.machine import cores
from compound.mapping import shown_number
from compound.quantity import quantity, seconds

# name: (value, unit or "s" for a time, what it bounds)
BOUNDS: dict[str, tuple[str, str]] = {
    "COMPOUND_MAX_JSON": ("64MiB", "bytes of a JSON file; what is said of 21,841 classes takes three million"),
    "COMPOUND_MAX_INDEX": ("1GiB", "bytes of the index of a decoded data set, or of a run's list of images"),
    "COMPOUND_MAX_YAML": ("1MiB", "bytes of a YAML file, and characters of it once its aliases are followed"),
    "COMPOUND_MAX_MODEL": ("16GiB", "bytes of a file of weights, or of an exported network"),
    "COMPOUND_MAX_SIDE": (
        "8192",
        "pixels of a side of the images that a weights file, a cache or a test asks for",
    ),
    "COMPOUND_MAX_BLOCKS": ("2k", "blocks of a network; EfficientNet-L2 has 88, ResNet-1001 has 333"),
    "COMPOUND_MAX_OPERATORS": ("40k", "operators of a network; a block has about ten"),
    "COMPOUND_MAX_NUMBER": ("16M", "every number of a network: channels, classes, pixels, windows, ratios"),
    "COMPOUND_MAX_ARRAYS": ("64GiB", "bytes of an .npz file, and of its arrays once they are unpacked"),
    "COMPOUND_MAX_CLASSES": ("1M", "classes that the numbers in an .npz file make"),
    "COMPOUND_MAX_TABLE": ("1GiB", "bytes of a CSV file, or of a list of classes"),
    "COMPOUND_MAX_LOG": ("64MiB", "bytes of a log of scores, after which it becomes FILE.1 in place of the one before"),
    "COMPOUND_MAX_IMAGE": ("1GiB", "bytes of an image file"),
    "COMPOUND_MAX_SCANS": ("500", "scans of a progressive JPEG; photographs have about ten"),
    "COMPOUND_MAX_DECODE": ("10s", "processor time to decode an image that is not of a usual make"),
}


def bound(name: str) -> float:
    """The value of a bound, in its unit or in seconds. Raises `UsageError` where the environment holds no quantity."""
    return _value(name, os.environ.get(name, BOUNDS[name][0]))


MOST_BATCH = 100_000  # images of one call
MOST_THREADS = 1024  # of one process
MOST_PARTS = 100  # of one block or head: repeats, branches, nodes, hidden layers
MOST_POSITIONS = 1024  # a side that an operator adds to a map, or leaves of it, whatever its size was


def check_numbers(part: object) -> None:
    """Raise `TooLargeError` where a number in a field of the dataclass `part`, or within one, is beyond its bound."""
    most = bound("COMPOUND_MAX_NUMBER")
    for name, value in vars(part).items():
        for number in _numbers(value):
            check_number(name, number, most)


def check_number(name: str, value: float, most: float | None = None) -> None:
    """Raise `TooLargeError` where `value` is beyond `most`, else beyond what a number of a network may be."""
    if abs(value) != math.inf and abs(value) > (bound("COMPOUND_MAX_NUMBER") if most is None else most):
        raise TooLargeError(f"{name} {shown_number(value)} is too large; {_remedy('COMPOUND_MAX_NUMBER')}")


def check_call(batch: int | None = None, threads: int | None = None) -> None:
    """Raise `TooLargeError` where a call has more images, or more threads, than any machine takes at once.

    `UsageError` where it has none.
    """
    for name, value, most in (("batch", batch, MOST_BATCH), ("threads", threads, MOST_THREADS)):
        if value is not None and value > most:
            raise TooLargeError(f"{name} {shown_number(value)} is too large; use at most {most:,}")
    if batch is not None and batch < 1:
        raise UsageError(f"batch {batch} loads nothing; use 1 or more, usually 128")
    if threads is not None and threads < 1:
        raise UsageError(f"threads {threads} computes nothing; use 1 or more, usually {cores()}")


def check_sides(name: str, sides: Iterable[int]) -> None:
    """Raise `TooLargeError` where a side of an image, in px, is beyond its bound."""
    for side in sides:
        if side > bound("COMPOUND_MAX_SIDE"):
            raise TooLargeError(f"{name} {shown_number(side)} is too large; {_remedy('COMPOUND_MAX_SIDE')}")


def check_blocks(blocks: int, layers: int) -> None:
    """Raise `TooLargeError` where a stage of `layers` makes a network of too many `blocks`."""
    if blocks > bound("COMPOUND_MAX_BLOCKS"):
        raise TooLargeError(f"layers {shown_number(layers)} make too many blocks; {_remedy('COMPOUND_MAX_BLOCKS')}")


def check_operators(operators: int) -> None:
    """Raise `TooLargeError` where a network has too many operators."""
    if operators > bound("COMPOUND_MAX_OPERATORS"):
        raise TooLargeError(f"too many operators up to here; {_remedy('COMPOUND_MAX_OPERATORS')}")


def check_parts(name: str, count: int, most: int = MOST_PARTS) -> None:
    """Raise `TooLargeError` where one block or head has more than `most` of what `name` says."""
    if count > most:
        raise TooLargeError(f"{name}: {shown_number(count)} in one block are too many; use at most {most}")


def _remedy(name: str) -> str:
    return f"use at most {bound(name):,.0f}, or raise {name}"


def _numbers(value: object) -> Iterator[float]:
    if isinstance(value, int | float):
        yield value
    elif isinstance(value, tuple | list):
        for one in value:
            yield from _numbers(one)
    elif is_dataclass(value) and not isinstance(value, type):
        yield from _numbers(tuple(vars(value).values()))


@lru_cache(maxsize=64)
def _value(name: str, text: str) -> float:
    return seconds(text, name) if BOUNDS[name][0].endswith("s") else quantity(text, name)
