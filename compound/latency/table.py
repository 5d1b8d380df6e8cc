"""A device's table: timed sizes of every kind of unit, and the time of any network from it.

Between timed sizes the time is a local regression in the logarithms of size and time, which starts from "time grows as
the work does". A unit beyond the timed sizes is reported as extrapolated; a kind that was never timed as missing, and
its time is in no sum.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from compound.documents import damage, read_json
from compound.errors import BudgetError, CompoundError, UsageError
from compound.files import write_text
from compound.latency.units import Size, Unit, units
from compound.mapping import from_mapping
from compound.network import Network

FORMAT = "compound-device-1"
NEAR = 16  # timed sizes that a regression rests on
SHARP = 0.1  # distance, in logarithms, within which a timed size outweighs those around it
STIFF = 0.02  # how firmly the regression holds to the slopes it starts from
BEYOND = 0.15  # distance, in logarithms, outside the timed sizes that still counts as inside

AS_TRAINED = ("eager", "channels-last", "compile")  # runtimes that run a model's branches; all others fold them first

Timed = tuple[int, int, int, float]  # a unit's size, and its microseconds


@dataclass(frozen=True)
class DeviceTable:
    """Timed units of one device, runtime, number of threads and batch.

    `units` maps a kind to its timed sizes, in microseconds. `margin` is the error of the predictions for networks that
    are not in the table, at its 90th percentile, or the drift of a machine's speed where that is more.
    """

    runtime: str
    threads: int
    batch: int
    margin: float
    units: dict[str, list[Timed]]
    environment: dict[str, Any] = field(default_factory=dict)
    _known: dict[Unit, tuple[float, bool]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def name(self) -> str:
        """What a sentence calls it: the processor and what runs there."""
        crew = f"{self.threads} thread{'s' * (self.threads > 1)}"
        return ", ".join(
            [*filter(None, [str(self.environment.get("cpu", ""))]), self.runtime, crew, f"batch {self.batch}"]
        )

    def time(self, unit: Unit) -> tuple[float, bool] | None:
        """Microseconds of one unit, and whether its size lies within the timed ones; None where the kind is missing."""
        if unit not in self._known:
            timed = self.units.get(unit.kind)
            if not timed:
                return None
            self._known[unit] = interpolate(unit.size, timed), inside(unit.size, timed)
        return self._known[unit]


@dataclass(frozen=True)
class Latency:
    """The predicted time of one call, in microseconds, and what the prediction rests on."""

    microseconds: float
    margin: float
    stages: dict[str, float]
    extrapolated: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def upper(self) -> float:
        """Seconds that nine of ten networks stay below: what a budget is held against."""
        return self.microseconds * (1 + self.margin) / 1e6


def latency(network: Network, table: DeviceTable) -> Latency:
    """The time of one call of `network` on the table's device, with what was extrapolated and what is missing."""
    stages: dict[str, float] = {}
    extrapolated: dict[str, None] = {}
    missing: dict[str, None] = {}
    for row in network.blocks():
        trace = row.trace if table.runtime in AS_TRAINED else row.trace.deployed
        for unit, _ in units(trace):
            found = table.time(unit)
            if found is None:
                missing[unit.kind] = None
                continue
            microseconds, within = found
            stages[row.label] = stages.get(row.label, 0.0) + microseconds
            if not within:
                extrapolated[f"{unit.kind} at {describe(unit.size)}"] = None
    total = sum(stages.values())
    return Latency(total, table.margin, stages, tuple(extrapolated), tuple(missing))


def call_seconds(network: Network, table: DeviceTable) -> float:
    """Predicted seconds of one call. Raises `BudgetError` where the table has no time of a unit of `network`."""
    found = latency(network, table)
    if found.missing:
        raise BudgetError(
            f"the device table has no time of {', '.join(found.missing[:3])}, which {network.name} needs; "
            "measure the device again with --family for its family"
        )
    return found.microseconds / 1e6


def describe(size: Size) -> str:
    """`32 -> 64 channels, 3136 positions`."""
    inputs, outputs, positions = size
    return f"{inputs} -> {outputs} channels, {positions} positions"


def interpolate(size: Size, timed: Sequence[Timed]) -> float:
    """Microseconds at `size`: the value there of a plane through the nearest timed sizes, all in logarithms.

    Near sizes weigh more; the plane's slopes are held near 1 (time in proportion to each part of the size).
    """
    used = (1, 2) if all(one[0] == one[1] for one in timed) else (0, 1, 2)  # depthwise and sums have one width
    away = [[math.log(one[axis] / size[axis]) for axis in used] for one in timed]
    near = sorted((sum(step * step for step in steps), i) for i, steps in enumerate(away))[:NEAR]
    n = len(used) + 1
    matrix = [[STIFF * (i == j > 0) for j in range(n)] for i in range(n)]
    vector = [0.0] * n
    total = sum(1 / (distance + SHARP**2) for distance, _ in near)
    for distance, i in near:
        weight = 1 / (distance + SHARP**2) / total
        row = [1.0, *away[i]]
        rest = math.log(timed[i][3]) - sum(away[i])
        for a in range(n):
            vector[a] += weight * row[a] * rest
            for b in range(n):
                matrix[a][b] += weight * row[a] * row[b]
    return math.exp(solve(matrix, vector)[0])


def solve(matrix: list[list[float]], vector: list[float]) -> list[float]:
    """x with matrix · x = vector, for a positive definite matrix (Gaussian elimination)."""
    n = len(vector)
    for i in range(n):
        for row in range(i + 1, n):
            factor = matrix[row][i] / matrix[i][i]
            for column in range(i, n):
                matrix[row][column] -= factor * matrix[i][column]
            vector[row] -= factor * vector[i]
    x = [0.0] * n
    for i in reversed(range(n)):
        x[i] = (vector[i] - sum(matrix[i][j] * x[j] for j in range(i + 1, n))) / matrix[i][i]
    return x


def inside(size: Size, timed: Sequence[Timed]) -> bool:
    """Whether every part of `size`, and their product, lies between timed ones."""
    points = [[math.log(part) for part in one[:3]] for one in timed]
    where = [math.log(part) for part in size]
    axes = [([point[axis] for point in points], where[axis]) for axis in range(3)]
    axes.append(([sum(point) for point in points], sum(where)))
    return all(min(values) - BEYOND <= value <= max(values) + BEYOND for values, value in axes)


def save_table(table: DeviceTable, path: str | Path) -> Path:
    """Write a table as JSON, a line a kind."""
    value = {"format": FORMAT} | {name: part for name, part in asdict(table).items() if name not in ("units", "_known")}
    lines = [f"    {json.dumps(kind, ensure_ascii=False)}: {json.dumps(timed)}" for kind, timed in table.units.items()]
    head = json.dumps(value, indent=2, ensure_ascii=False).removesuffix("\n}")
    return write_text(path, head + ',\n  "units": {\n' + ",\n".join(lines) + "\n  }\n}\n")


def load_table(path: str | Path) -> DeviceTable:
    """A table as `compound measure device` wrote it."""
    remedy = "make one with: compound measure device -o FILE"
    given = read_json(path, remedy, "device table", CompoundError)
    if not isinstance(given, Mapping) or given.get("format") != FORMAT:
        raise UsageError(f"{path} is not a device table (its format is not {FORMAT}); {remedy}")
    table = from_mapping(DeviceTable, {n: v for n, v in given.items() if n != "format"}, f"device table {path}")
    for kind, timed in table.units.items():
        for one in timed:
            if not all(math.isfinite(number) and number > 0 for number in one):
                wrong = f"{kind!r} has a size or time {list(one)}"
                raise damage(path, wrong, remedy, "device table", CompoundError)
    return table
