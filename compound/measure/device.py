"""Device tables: the units of scaled networks timed where they stand, inside running networks.

A unit by itself, in a loop, finds its weights and maps in the cache and its memory mapped; inside a network it does
not. So whole networks run, small in depth, over a spread of widths and resolutions, and the time of each is split among
its units. Every sixth network is left out of the table and tells how far predictions are off.
"""

import math
import os
import random
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from compound.errors import UsageError
from compound.latency import DeviceTable, Unit, latency, units
from compound.measure.machine import environment
from compound.measure.runtimes import Laps, Runner, find_runtime
from compound.measure.timing import lower_quartile, seconds_of
from compound.network import Network
from compound.nn import build
from compound.scaling import Scaling, scale

DEPTH = 0.51  # of the networks that are timed: two repeats of a stage hold all the units that more would have
LEFT_OUT = 6  # one network of so many is predicted, not timed for the table
RUNS = 3  # timed calls of a network in a round, after one that is not
ROUNDS = 3  # at the least


@dataclass
class Sample:
    """One network of the session, and its times in seconds."""

    network: Network
    runner: Runner
    left_out: bool
    calls: list[float]
    lapped: list[float]  # calls that were split among their modules
    laps: list[Laps]


def measure_device(
    families: Sequence[Network],
    runtime: str = "channels-last",
    *,
    threads: int = 1,
    batch: int = 1,
    samples: int = 48,
    span: float = 2.0,
    seconds: float = 120.0,
    seed: int = 0,
    say: Callable[[str], None] = lambda text: None,
) -> DeviceTable:
    """Time `samples` scaled networks of `families` for about `seconds` and make a table of their units.

    Widths and resolutions lie between 1/`span` and `span` times the family's own.
    """
    about = environment(threads) | {"families": [family.name for family in families], "seed": seed}
    chosen = choose(families, samples, span, seed)
    refuse_more_than_memory([network for network, _ in chosen])
    say(f"{len(chosen)} networks of {', '.join(about['families'])} on {about['cpu']}, {runtime}, {threads} threads")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        running = [prepare(network, left_out, runtime, threads, batch) for network, left_out in chosen]
    rounds = run_rounds(running, seconds, seed)
    table = tabulate([one for one in running if not one.left_out], runtime, threads, batch, about | {"rounds": rounds})
    errors = sorted(slower(one, table) for one in running if one.left_out)
    margin = max(0.0, errors[math.ceil(0.9 * len(errors)) - 1])
    say(f"{rounds} rounds; {sum(map(len, table.units.values()))} units of {len(table.units)} kinds")
    checked = {"networks": len(errors), "median_error": statistics.median(map(abs, errors)), "errors": errors}
    return replace(table, margin=margin, environment=table.environment | {"left_out": checked})


def choose(families: Sequence[Network], samples: int, span: float, seed: int) -> list[tuple[Network, bool]]:
    """Scaled networks, evenly spread over the logarithms of width and resolution, and whether each is left out.

    Those that are left out have any depth, too.
    """
    rng = random.Random(seed)
    chosen = []
    for number in range(samples):
        family = families[number % len(families)]
        # Additive recurrence with the plastic number (Roberts 2018): no two samples fall close together.
        places = [(0.5 + (number // len(families) + 1) / 1.32471795724474602596**axis) % 1 for axis in (1, 2)]
        width, resolution = (span ** (2 * place - 1) for place in places)
        left_out = number // len(families) % LEFT_OUT == LEFT_OUT - 1
        depth = rng.uniform(0.5, 1.5) if left_out else DEPTH
        wanted = {"depth": depth, "width": width, "resolution": resolution}
        fixed = {dimension for dimension, _ in family.unscalable}
        scaling = Scaling(**{name: 1.0 if name in fixed else value for name, value in wanted.items()})
        chosen.append((scale(family, scaling), left_out))
    return chosen


def refuse_more_than_memory(networks: Sequence[Network]) -> None:
    """All networks are in memory at once, so that their turns can be interleaved."""
    from compound.cost import cost

    needed = sum(cost(network).memory() for network in networks)
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > 0.6 * there:
        raise UsageError(
            f"{len(networks)} networks need {needed / 1e9:.1f} GB of {there / 1e9:.1f} GB memory; "
            "use fewer --samples, a smaller --span or smaller families"
        )


def prepare(network: Network, left_out: bool, runtime: str, threads: int, batch: int) -> Sample:
    """The built network, ready to run."""
    images = torch.randn(batch, 3, network.resolution, network.resolution)
    runner = find_runtime(runtime)(build(network).eval(), images, threads)
    if runner.laps is None:
        raise UsageError(f"runtime {runtime} does not tell where its time goes; use eager or channels-last for a table")
    runner.run()
    return Sample(network, runner, left_out, [], [], [])


def run_rounds(running: Sequence[Sample], seconds: float, seed: int) -> int:
    """Rounds over all networks in changing order until the time is up; the number of rounds."""
    rng, order = random.Random(seed), list(running)
    end, rounds = time.perf_counter() + seconds, 0
    while rounds < ROUNDS or time.perf_counter() < end:
        rng.shuffle(order)
        for one in order:
            one.runner.run()
            one.calls += [seconds_of(one.runner.run) for _ in range(RUNS)]
            if one.runner.laps is not None and not one.left_out:
                for _ in range(RUNS):
                    laps: list[Laps] = []
                    one.lapped.append(seconds_of(lambda one=one, laps=laps: laps.append(one.runner.laps())))
                    one.laps += laps
        rounds += 1
    return rounds


def tabulate(
    running: Sequence[Sample], runtime: str, threads: int, batch: int, about: dict[str, object]
) -> DeviceTable:
    """The lower quartile of every unit's time over the rounds; what a whole call takes beyond them is the overhead."""
    times: dict[Unit, list[float]] = defaultdict(list)
    overheads = []
    for one in running:
        parts = unit_times(one)
        for unit, microseconds in parts:
            times[unit].append(microseconds)
        overheads.append(lower_quartile(one.calls) * 1e6 - sum(microseconds for _, microseconds in parts))
    kinds: dict[str, list[tuple[int, int, int, float]]] = {}
    for unit in sorted(times):
        kinds.setdefault(unit.kind, []).append((*unit.size, round(statistics.median(times[unit]), 3)))
    return DeviceTable(runtime, threads, batch, round(statistics.median(overheads), 3), 0.0, kinds, about)


def unit_times(one: Sample) -> list[tuple[Unit, float]]:
    """Microseconds of every unit of a network, without what the timing itself took."""
    names = set(one.laps[0])
    watching = max(0.0, lower_quartile([sum(laps.values()) for laps in one.laps]) - lower_quartile(one.calls)) / len(names)
    spent = {name: lower_quartile([laps[name] for laps in one.laps]) for name in names}
    spent = {name: max(seconds - watching, seconds / 2) for name, seconds in spent.items()}
    placed = [(unit, [lapped(place, names) for place in places]) for unit, places in unit_places(one.network)]
    shared = Counter(place for _, places in placed for place in places)
    return [(unit, 1e6 * sum(spent[place] / shared[place] for place in places)) for unit, places in placed]


def unit_places(network: Network) -> list[tuple[Unit, list[str]]]:
    """Every unit in order of execution, and the names of the modules its operators became."""
    found = []
    features = {name for name, _ in network.head.features(network.style).parts}
    for row in network.blocks():
        for unit, steps in units(row.trace):
            paths = [step.path for step in steps]
            if row.label == "head":
                places = [f"{'features' if path.partition('.')[0] in features else 'classifier'}.{path}" for path in paths]
            else:
                block = f"stage{row.stage}.block{row.repeat}" if row.stage else "stem"
                places = [f"{block}.{path}".rstrip(".") for path in paths]
            found.append((unit, places))
    return found


def lapped(place: str, names: set[str]) -> str:
    """The module whose lap an operator is in: its own, or that of the combination it joins (`body.add` is `body`)."""
    while place not in names:
        place, dot, _ = place.rpartition(".")
        if not dot:
            raise LookupError(f"no module was timed for {place!r}")
    return place


def slower(one: Sample, table: DeviceTable) -> float:
    """By which share a network was slower than predicted."""
    return lower_quartile(one.calls) * 1e6 / latency(one.network, table).microseconds - 1
