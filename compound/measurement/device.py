"""Device tables: the units of scaled networks timed where they stand, inside running networks.

A unit by itself, in a loop, finds its weights and maps in the cache and its memory mapped; inside a network it does
not. So whole networks run, small in depth, over a spread of widths and resolutions, and the time of each is split among
its units. Every fourth network is left out of the table and tells how far predictions are off.
"""

import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from compound.cost import cost
from compound.errors import UsageError
from compound.latency import DeviceTable
from compound.measurement.machine import environment
from compound.measurement.sampling import USUAL, Sampling, TimedNetwork, to_time
from compound.measurement.tabulating import TimedSample, table_of
from compound.measurement.timing import seconds_of
from compound.network import Network
from compound.nn import build
from compound.runtimes import RUNTIMES, MakeRunner, Runner, find_runtime
from compound.runtimes.measure_here import ROUNDS, RUNS

HELD = {"onnxruntime": 2, "openvino": 2}  # bytes for each of a network's own: these keep what they were made from, too


@dataclass
class Running(TimedSample):
    """A network that is ready to run."""

    runner: Runner


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
    chosen = to_time(families, sampling)
    refuse_more_than_memory([one.network for one in chosen], HELD.get(runtime, 1))
    crew = f"{threads} thread{'s' * (threads != 1)}"
    say(f"{len(chosen)} networks of {', '.join(names)} on {about['cpu']}, {runtime}, {crew}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        running = [prepare(one, find_runtime(runtime, known), threads, batch) for one in chosen]
    rounds = run_rounds(running, sampling.seconds, seed)
    table = table_of(running, runtime, threads, batch, about | {"rounds": rounds})
    say(f"{rounds} rounds; {sum(map(len, table.units.values()))} units of {len(table.units)} kinds")
    return table


def refuse_more_than_memory(networks: Sequence[Network], held: int) -> None:
    """All networks are in memory at once, so that their turns can be interleaved."""
    needed = held * sum(cost(network).memory() for network in networks)
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > 0.6 * there:
        raise UsageError(
            f"{len(networks)} networks need {needed / 1e9:.1f} GB of {there / 1e9:.1f} GB memory; "
            "use fewer --samples, a smaller --span or smaller families"
        )


def prepare(choice: TimedNetwork, runtime: MakeRunner, threads: int, batch: int) -> Running:
    """The built network, ready to run."""
    images = torch.randn(batch, choice.network.channels, choice.network.resolution, choice.network.resolution)
    model = build(choice.network).eval()
    runner = runtime(model, images, threads)
    if runner.laps is None:
        raise UsageError("this runtime does not tell where its time goes; use another one, such as channels-last")
    runner.run()
    return Running(choice, [], [], runner)


def run_rounds(running: Sequence[Running], seconds: float, seed: int) -> int:
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
