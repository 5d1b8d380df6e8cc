"""How well a device table predicts: random scaled networks that were not timed for it, and plans by latency.

    compound measure device --family efficientnet-b0 --family resnet-50 --family mobilenet-v2 --samples 72 -o table.json
    python benchmarks/latency.py table.json -o benchmarks/results/latency.json

The table of another runtime is made with `--runtime onnxruntime` or `openvino`; the second command runs the networks on
the table's runtime, or on that of `--runtime`, which tells how far a table is off for a runtime that is not its own.
Both run on the machine of the table with nothing else running. Every network's error is predicted / measured − 1, for
the lower quartile (what the table holds) and the median of the same calls. All networks take turns in random order.
"""

import argparse
import json
import random
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from compound import RULES, ZOO, Budget, Network, fit_budget, scale
from compound.files import write_json
from compound.latency import DeviceTable, latency, load_table
from compound.measurement.machine import environment
from compound.measurement.timing import seconds_of
from compound.nn import build
from compound.runtimes import RUNTIMES, Runner, find_runtime
from compound.runtimes.measure_here import lower_quartile

LIMITS = (0.35, 3.0)  # of a drawn latency, as a share of the baseline's


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("table")
    parser.add_argument("-o", "--out", required=True)
    parser.add_argument("--runtime", choices=RUNTIMES, help="default: the table's")
    parser.add_argument("--networks", type=int, default=60)
    parser.add_argument("--plans", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=100)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    table, rng = load_table(given.table), random.Random(given.seed)
    about = environment(table.threads)
    families = [ZOO[name] for name in table.environment["families"]]
    drawn = [draw(families, rng) for _ in range(given.networks)]
    plans = [draw_plan(families, table, rng) for _ in range(given.plans)]
    torch.manual_seed(given.seed)
    runtime = given.runtime or table.runtime
    calls = run([*drawn, *(plan.network for plan, _ in plans)], runtime, table, given.seconds, rng)
    predicted = [predict(network, table, seconds) for network, seconds in zip(drawn, calls, strict=False)]
    planned = [held(plan, limit, seconds) for (plan, limit), seconds in zip(plans, calls[len(drawn) :], strict=True)]
    result = {
        "runtime": runtime,
        "networks": len(predicted),
        "calls_each": len(calls[0]),
        "error_of_lower_quartile": summary([one["error"] for one in predicted]),
        "error_of_median": summary([one["error_of_median"] for one in predicted]),
        "plans": len(planned),
        "plans_within_limit": sum(one["measured_ms"] <= one["limit_ms"] for one in planned),
        "plans_using_90_percent": sum(one["measured_ms"] >= 0.9 * one["limit_ms"] for one in planned),
        "plans_with_both": sum(0.9 <= one["measured_ms"] / one["limit_ms"] <= 1 for one in planned),
        "table": {
            "file": Path(given.table).name,
            "margin": table.margin,
            "runtime": table.runtime,
            "batch": table.batch,
        },
        "table_environment": table.environment,
        "environment": about,
        "seed": given.seed,
        "predicted": predicted,
        "planned": planned,
    }
    write_json(given.out, result)
    print(json.dumps({name: value for name, value in result.items() if not isinstance(value, list)}, indent=1))


def draw(families: Sequence[Network], rng: random.Random) -> Network:
    return scale(rng.choice(families), RULES[rng.choice(list(RULES))](rng.uniform(-2, 1.5)))


def draw_plan(families: Sequence[Network], table: DeviceTable, rng: random.Random):  # type: ignore[no-untyped-def]
    """A family and a limit; the plan fills with resolution what the rule's stairs leave."""
    family = rng.choice(families)
    limit = latency(family, table).microseconds / 1e6 * LIMITS[0] * (LIMITS[1] / LIMITS[0]) ** rng.random()
    return fit_budget(family, Budget(latency=limit, device=table), fill=True), limit


def run(
    networks: Sequence[Network], runtime: str, table: DeviceTable, seconds: float, rng: random.Random
) -> list[list[float]]:
    """Seconds of single calls of every network, with the table's batch and threads."""
    runners: list[Runner] = []
    for network in networks:
        images = torch.randn(table.batch, 3, network.resolution, network.resolution)
        runners.append(find_runtime(runtime)(build(network).eval(), images, table.threads))
        runners[-1].run()
    calls: list[list[float]] = [[] for _ in runners]
    order, end = list(range(len(runners))), time.perf_counter() + seconds
    while len(calls[0]) < 9 or time.perf_counter() < end:
        rng.shuffle(order)
        for i in order:
            runners[i].run()
            calls[i] += [seconds_of(runners[i].run) for _ in range(3)]
    return calls


def predict(network: Network, table: DeviceTable, calls: list[float]) -> dict[str, object]:
    found = latency(network, table)
    milliseconds = found.microseconds / 1e3
    low, median = lower_quartile(calls) * 1e3, statistics.median(calls) * 1e3
    return {
        "network": network.name,
        "predicted_ms": milliseconds,
        "measured_ms": low,
        "median_ms": median,
        "error": milliseconds / low - 1,
        "error_of_median": milliseconds / median - 1,
        "extrapolated": len(found.extrapolated),
    }


def held(plan, limit: float, calls: list[float]) -> dict[str, object]:  # type: ignore[no-untyped-def]
    return {
        "network": plan.network.name,
        "limit_ms": limit * 1e3,
        "predicted_ms": plan.cost.latency * 1e3,
        "measured_ms": lower_quartile(calls) * 1e3,
        "median_ms": statistics.median(calls) * 1e3,
    }


def summary(errors: list[float]) -> dict[str, float]:
    sizes = sorted(map(abs, errors))
    return {
        "median": statistics.median(sizes),
        "percentile_95": sizes[min(len(sizes) - 1, int(0.95 * len(sizes)))],
        "largest": sizes[-1],
        "bias": statistics.median(errors),
    }


if __name__ == "__main__":
    main()
