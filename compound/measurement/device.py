"""Device tables: the units of scaled networks timed where they stand, inside running networks.

A unit by itself, in a loop, finds its weights and maps in the cache and its memory mapped; inside a network it does
not. So whole networks run, small in depth, over a spread of widths and resolutions, and the time of each is split among
its units. Every fourth network is left out of the table and tells how far predictions are off.
"""

import math
import os
import random
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import torch

from compound.cost import cost, numbers
from compound.errors import UsageError
from compound.latency import DeviceTable, Unit, latency, unit_kinds, units
from compound.measurement.machine import environment
from compound.measurement.timing import lower_quartile, seconds_of
from compound.network import Network, Row
from compound.nn import build
from compound.ops import Trace
from compound.runtimes import RUNTIMES, Laps, MakeRunner, Runner, find_runtime
from compound.scaling import Scaling, scale

# Depths of the networks that are timed: two repeats of a stage hold all the units that more would have, and above 1 the
# stages of a single block have a second one, too.
DEPTHS = (0.51, 0.51, 1.01)
LEFT_OUT = len(DEPTHS) + 1  # one network of so many is predicted, not timed for the table
DRIFT = 0.05  # the least margin: one machine's speed differs so much from session to session, a virtual one's at least
HELD = {"onnxruntime": 2, "openvino": 2}  # bytes for each of a network's own: these keep what they were made from, too
RUNS = 3  # timed calls of a network in a round, after one that is not
ROUNDS = 3  # at the least


@dataclass(frozen=True)
class TimedNetwork:
    """A network to run, and whether it is left out of the table."""

    network: Network
    left_out: bool


LONGEST = 86_400.0  # seconds of a session
MOST_NETWORKS = 10_000
WIDEST = 16  # times a network's own width or resolution, beyond which none of a family is built


@dataclass(frozen=True)
class Sampling:
    """How many scaled `networks` are timed, a quarter of them to check the table, and for how many `seconds`.

    Widths and resolutions lie between 1/`span` and `span` times the family's own. Raises `UsageError` for a span that
    leaves no range, and for no time.
    """

    networks: int = 48
    span: float = 2.0
    seconds: float = 120.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 < self.span <= WIDEST:
            raise UsageError(f"--span {self.span} leaves no range of sizes; use more than 1, to {WIDEST}; usually 2")
        if not 0 < self.seconds <= LONGEST:
            raise UsageError(f"--seconds {self.seconds} is no time to measure in; use e.g. 120")
        if self.networks > MOST_NETWORKS:
            raise UsageError(f"--networks {self.networks:,} are too many; use at most {MOST_NETWORKS:,}, usually 48")


USUAL = Sampling()


@dataclass
class TimedSample:
    """A choice in the session, and its times in seconds."""

    choice: TimedNetwork
    runner: Runner
    calls: list[float]
    laps: list[Laps]


def measure_device(
    families: Sequence[Network],
    runtime: str = "channels-last",
    *,
    threads: int = 1,
    batch: int = 1,
    sampling: Sampling = USUAL,
    known: Mapping[str, MakeRunner] = RUNTIMES,
    say: Callable[[str], None] = lambda text: None,
) -> DeviceTable:
    """Time scaled networks of `families` and make a table of their units."""
    seed = sampling.seed
    names = list(dict.fromkeys(family.name for family in families))
    about = environment(threads) | {"families": names, "seed": seed}
    chosen = choose(families, sampling.networks, sampling.span, seed)
    refuse_more_than_memory([one.network for one in chosen], HELD.get(runtime, 1))
    if not any(one.left_out for one in chosen):
        raise UsageError(
            f"each of {len(chosen)} networks has units that no other has, so that none can check the table; "
            "use more --samples"
        )
    crew = f"{threads} thread{'s' * (threads != 1)}"
    say(f"{len(chosen)} networks of {', '.join(names)} on {about['cpu']}, {runtime}, {crew}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        running = [prepare(one, find_runtime(runtime, known), threads, batch) for one in chosen]
    rounds = run_rounds(running, sampling.seconds, seed)
    in_table = [one for one in running if not one.choice.left_out]
    table = tabulate(in_table, runtime, threads, batch, about | {"rounds": rounds})
    errors = sorted(slower(one, table) for one in running if one.choice.left_out)
    margin = max(DRIFT, sorted(map(abs, errors))[math.ceil(0.9 * len(errors)) - 1])
    say(f"{rounds} rounds; {sum(map(len, table.units.values()))} units of {len(table.units)} kinds")
    checked = {"networks": len(errors), "median_error": statistics.median(map(abs, errors)), "errors": errors}
    return replace(table, margin=margin, environment=table.environment | {"left_out": checked})


def choose(families: Sequence[Network], samples: int, span: float, seed: int) -> list[TimedNetwork]:
    """Scaled networks, evenly spread over the logarithms of width and resolution.

    Those that are left out have any depth, too, and no kind of unit that the others lack. Classes and image channels
    vary, for the linear layers and the stems.
    """
    rng = random.Random(seed)
    chosen = []
    for turn, (number, family) in product(range(-(-samples // len(families))), enumerate(families)):
        step = turn + number
        # Additive recurrence with the plastic number (Roberts 2018): no two samples fall close together.
        places = [(0.5 + (step + 1) / 1.32471795724474602596**axis) % 1 for axis in (1, 2)]
        width, resolution = (span ** (2 * place - 1) for place in places)
        left_out = step % LEFT_OUT == LEFT_OUT - 1
        depth = rng.uniform(0.5, 1.5) if left_out else DEPTHS[step % LEFT_OUT]
        wanted = {"depth": depth, "width": width, "resolution": resolution}
        fixed = {dimension for dimension, _ in family.unscalable}
        scaling = Scaling(**{name: 1.0 if name in fixed else value for name, value in wanted.items()})
        about = {"classes": rng.choice((10, 100, 1000)), "channels": rng.choice((1, 3, 3))}
        chosen.append(TimedNetwork(scale(family, scaling).with_(**about), left_out))
    timed = {kind for one in chosen if not one.left_out for kind in unit_kinds(one.network)}
    return [replace(one, left_out=one.left_out and unit_kinds(one.network) <= timed) for one in chosen]


def refuse_more_than_memory(networks: Sequence[Network], held: int) -> None:
    """All networks are in memory at once, so that their turns can be interleaved."""
    needed = held * sum(cost(network).memory() for network in networks)
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > 0.6 * there:
        raise UsageError(
            f"{len(networks)} networks need {needed / 1e9:.1f} GB of {there / 1e9:.1f} GB memory; "
            "use fewer --samples, a smaller --span or smaller families"
        )


def prepare(choice: TimedNetwork, runtime: MakeRunner, threads: int, batch: int) -> TimedSample:
    """The built network, ready to run."""
    images = torch.randn(batch, choice.network.channels, choice.network.resolution, choice.network.resolution)
    model = build(choice.network).eval()
    runner = runtime(model, images, threads)
    if runner.laps is None:
        raise UsageError("this runtime does not tell where its time goes; use another one, such as channels-last")
    runner.run()
    return TimedSample(choice, runner, [], [])


def run_rounds(running: Sequence[TimedSample], seconds: float, seed: int) -> int:
    """Rounds over all networks in changing order until the time is up; the number of rounds."""
    rng, order = random.Random(seed), list(running)
    end, rounds = time.perf_counter() + seconds, 0
    while rounds < ROUNDS or time.perf_counter() < end:
        rng.shuffle(order)
        for one in order:
            one.runner.run()
            one.calls += [seconds_of(one.runner.run) for _ in range(RUNS)]
            if one.runner.laps is not None and not one.choice.left_out:
                one.laps += one.runner.laps(RUNS)
        rounds += 1
    return rounds


def tabulate(
    running: Sequence[TimedSample], runtime: str, threads: int, batch: int, about: dict[str, object]
) -> DeviceTable:
    """The median of every unit's times over the networks it stands in."""
    times: dict[Unit, list[float]] = defaultdict(list)
    for one in running:
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
    names = dict.fromkeys(name for laps in taken for name in laps)  # a profile may leave out what took no time
    spent = {name: lower_quartile([laps[name] for laps in taken if name in laps]) for name in names}
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
