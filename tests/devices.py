"""A made-up device, whose times are known for any network."""

import math
import random

from compound import ZOO, scale
from compound.latency import DeviceTable, Unit, units
from compound.network import Network
from compound.scaling import Scaling


def law(unit: Unit) -> float:
    """Microseconds of a made-up device: a power of each part of the size."""
    inputs, outputs, positions = unit.size
    return 0.01 * inputs**0.8 * outputs**0.9 * positions**0.7


def made_up(
    base: Network = ZOO["efficientnet-b0"], margin: float = 0.0, classes: int = 1000, channels: int = 3
) -> DeviceTable:
    """A table of that device, over scaled networks of one family."""
    rng, seen = random.Random(0), set()
    for number in range(30):
        scaling = Scaling((0.6, 1.1)[number % 2], math.exp(rng.uniform(-0.7, 0.7)), math.exp(rng.uniform(-0.7, 0.7)))
        for row in scale(base, scaling).with_(classes=classes, channels=channels).blocks():
            seen |= {unit for unit, _ in units(row.trace)}
    kinds: dict[str, list[tuple[int, int, int, float]]] = {}
    for unit in sorted(seen):
        kinds.setdefault(unit.kind, []).append((*unit.size, law(unit)))
    return DeviceTable("eager", 1, 1, margin, kinds)
