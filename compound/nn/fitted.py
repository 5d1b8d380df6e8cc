"""What is fitted on held-out images travels with weights as JSON: read back with nothing else in it."""

import math
from typing import Any


def read_fitted(given: Any, names: set[str], threshold: str, share: str) -> tuple[float, float, int]:
    """The threshold, the share and the number of images of what was written, whose fields are `names`.

    Raises `ValueError` for other fields, for a threshold that is not finite and a share that is not between 0 and 1;
    `TypeError` for a field that is no number.
    """
    if not isinstance(given, dict) or given.keys() != names:
        raise ValueError
    most, part, images = float(given[threshold]), float(given[share]), int(given["images"])
    if not (math.isfinite(most) and 0 < part < 1):
        raise ValueError
    return most, part, images
