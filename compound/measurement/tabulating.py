"""From times to a table: the time of each running network split among its units, each unit's median over networks.

Networks that were left out tell how far predictions are off; their 90th percentile is the table's margin.
"""

import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from compound.cost import numbers
from compound.latency import DeviceTable, Unit, latency, units
from compound.measurement.sampling import TimedNetwork
from compound.network import Row
from compound.ops import Trace
from compound.runtimes.measure_here import Laps, lower_quartile, spent_in

DRIFT = 0.05  # the least margin: one machine's speed differs so much from session to session, a virtual one's at least


@dataclass
class TimedSample:
    """A network of the session, the seconds of its calls, and where the time of other calls went."""

    choice: TimedNetwork
    calls: list[float]
    laps: list[Laps]


def table_of(
    timed: Sequence[TimedSample], runtime: str, threads: int, batch: int, about: dict[str, Any]
) -> DeviceTable:
    """The table of all that is not left out, its margin by the rest; `about`: what the times depend on besides."""
    table = tabulate([one for one in timed if not one.choice.left_out], runtime, threads, batch, about)
    errors = sorted(slower(one, table) for one in timed if one.choice.left_out)
    margin = max(DRIFT, sorted(map(abs, errors))[math.ceil(0.9 * len(errors)) - 1])
    checked = {"networks": len(errors), "median_error": statistics.median(map(abs, errors)), "errors": errors}
    return replace(table, margin=margin, environment=table.environment | {"left_out": checked})


def tabulate(
    timed: Sequence[TimedSample], runtime: str, threads: int, batch: int, about: dict[str, Any]
) -> DeviceTable:
    """The median of every unit's times over the networks it stands in."""
    times: dict[Unit, list[float]] = defaultdict(list)
    for one in timed:
        for unit, microseconds in unit_times(one):
            times[unit].append(microseconds)
    kinds: dict[str, list[tuple[int, int, int, float]]] = {}
    for unit in sorted(times):
        kinds.setdefault(unit.kind, []).append((*unit.size, round(statistics.median(times[unit]), 3)))
    return DeviceTable(runtime, threads, batch, 0.0, kinds, about)


def unit_times(one: TimedSample) -> list[tuple[Unit, float]]:
    """Microseconds of every unit of a network; their sum is the lower quartile of its calls without laps.

    Taking laps costs every module the same small time, which is taken off before the rest is brought to that sum.
    """
    taken = [{canonical(name): seconds for name, seconds in laps.items()} for laps in one.laps]
    spent = spent_in(taken)
    whole = lower_quartile(one.calls)
    watching = max(0.0, sum(spent.values()) - whole) / len(spent)
    spent = {name: max(seconds - watching, seconds / 2) for name, seconds in spent.items()}
    placed = place_units(one.choice, set(spent))
    shared: dict[str, float] = defaultdict(float)  # by lap: the work of all operators in it
    for _, parts in placed:
        for lap, work in parts:
            shared[lap] += work
    for name in set(spent) - set(shared):  # a part of something that runs as one
        if outer := enclosing(name, set(shared)):
            spent[outer] += spent[name]
    micro = 1e6 * whole / sum(spent[lap] for lap in shared)
    return [(unit, sum(micro * spent[lap] * work / shared[lap] for lap, work in parts)) for unit, parts in placed]


def place_units(choice: TimedNetwork, names: set[str]) -> list[tuple[Unit, list[tuple[str, float]]]]:
    """Every unit in order of execution, with the lap and the work of each of its operators.

    An operator without a lap of its own is in that of the combination whose values it joins (`body.add` in `body`), of
    another of its unit, or of what stands around it, or else ran together with the one before it. Work tells operators
    of one lap apart: numbers moved and, sixteen at a time, multiply-adds. Branches without laps were folded.
    """
    found, lap = [], ""
    for row in choice.network.blocks():
        branches = paths(row, row.trace) - paths(row, row.trace.deployed)
        trace = row.trace if branches & names else row.trace.deployed
        for unit, steps in units(trace):
            parts = []
            places = [canonical(f"{prefix(row)}{step.path}") for step in steps]
            own = next((place for place in places if place in names), "")
            for place, (_, operator, values, output) in zip(places, steps, strict=True):
                around = enclosing(place, names)
                lap = (around if place in names or len(values) > 1 else own) or own or around or lap
                shapes = [trace.shapes[value] for value in values]
                moved = sum(map(numbers, shapes)) + numbers(trace.shapes[output])
                parts.append((lap, moved + operator.macs(*shapes) / 16))
            found.append((unit, parts))
    return found


def paths(row: Row, trace: Trace) -> set[str]:
    """What the modules of the operators of `trace` are called."""
    return {canonical(f"{prefix(row)}{step.path}") for step in trace.steps}


def prefix(row: Row) -> str:
    """What stands before the path of an operator of `row` in the name of its module."""
    if row.label == "head":
        return ""
    return f"stage{row.stage}.block{row.repeat}." if row.stage else "stem."


def canonical(name: str) -> str:
    """A module's name apart from how deep its parts are nested: folding makes `body.expand` a `body_expand`."""
    return name.replace("_", ".").rstrip(".")


def enclosing(place: str, names: set[str]) -> str:
    """The name in `names` that is `place` or the nearest one around it; empty where there is none."""
    while place and place not in names:
        place = place.rpartition(".")[0]
    return place


def slower(one: TimedSample, table: DeviceTable) -> float:
    """By which share a network was slower than predicted."""
    predicted = latency(one.choice.network, table)
    return lower_quartile(one.calls) * 1e6 / predicted.microseconds - 1
