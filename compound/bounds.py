"""What files of strangers may ask for: bounds of every verb, each moved by an environment variable of its name."""

import os
from functools import lru_cache

from compound.quantity import quantity, seconds

# name: (value, unit or "s" for a time, what it bounds)
BOUNDS: dict[str, tuple[str, str]] = {
    "COMPOUND_MAX_JSON": ("64MiB", "bytes of a JSON file; what is said of 21,841 classes takes three million"),
    "COMPOUND_MAX_INDEX": ("1GiB", "bytes of the index of a decoded data set, or of a run's list of images"),
    "COMPOUND_MAX_YAML": ("1MiB", "bytes of a YAML file, and characters of it once its aliases are followed"),
    "COMPOUND_MAX_MODEL": ("16GiB", "bytes of a file of weights, or of an exported network"),
    "COMPOUND_MAX_SIDE": ("8192", "pixels of a side of the images that a weights file asks for"),
    "COMPOUND_MAX_IMAGE": ("1GiB", "bytes of an image file"),
    "COMPOUND_MAX_SCANS": ("500", "scans of a progressive JPEG; photographs have about ten"),
    "COMPOUND_MAX_DECODE": ("10s", "processor time to decode an image that is not of a usual make"),
}


def bound(name: str) -> float:
    """The value of a bound, in its unit or in seconds. Raises `UsageError` where the environment holds no quantity."""
    return _value(name, os.environ.get(name, BOUNDS[name][0]))


@lru_cache(maxsize=64)
def _value(name: str, text: str) -> float:
    return seconds(text, name) if BOUNDS[name][0].endswith("s") else quantity(text, name)
