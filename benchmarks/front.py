"""Published accuracy against multiply-adds, parameters and milliseconds of one machine, all in one run.

    python -m benchmarks.front                          # about 10 minutes of one core that does nothing else
    python -m benchmarks.front --networks efficientnet-b0,resnet-50 --runtime optimized

Of each network the weights count that were trained on ImageNet-1k alone and are most accurate at the network's own
size, or else at another, as `compound.paper.published` lists them; every time is of the size of that test. Times are
medians of single calls of one image on one thread, all networks taking turns.

Writes benchmarks/results/front.json, from which `python scripts/make_front.py` makes docs/front.md.
"""

import argparse
import re
from typing import Any

from benchmarks.environment import write_result
from compound import ZOO, measure
from compound.measurement import Turns
from compound.paper.published import Published, published

NAME = "front"
NETWORKS = (
    "efficientnet-b0", "efficientnet-b1", "efficientnet-b2", "efficientnet-b3", "efficientnetv2-b0",
    "efficientnetv2-b2", "efficientnet-lite0", "mobilenet-v4-conv-small", "mobilenet-v4-conv-medium",
    "mobilenet-v4-conv-large", "mobilenet-v2", "mobilenet-v3-small", "mobilenet-v3-large", "mnasnet-b1",
    "convnext-atto", "convnext-femto", "convnext-pico", "convnext-tiny", "convnextv2-atto", "convnextv2-nano",
    "resnet-18", "resnet-34", "resnet-50", "resnet-50-d", "regnety-004", "regnety-008", "regnety-016", "regnety-032",
    "mobileone-s0", "mobileone-s1", "mobileone-s4", "repvgg-a0", "repvgg-a2", "lcnet-x1", "mixnet-s", "mixnet-l",
    "fbnet-c", "hardcorenas-a", "hardcorenas-f", "ghostnet", "tinynet-a", "densenet-121",
)  # fmt: skip
MORE_IMAGES = re.compile(r"in12k|in21k|in22k|ssl|swsl|jft|ig|_ns")  # weights that saw more than ImageNet-1k


def chosen(name: str) -> Published | None:
    """The published weights that stand for a network; None where there are none."""
    rows = [row for row in published() if row.network == name and not MORE_IMAGES.search(row.weights.split("/")[-1])]
    return max(rows, key=lambda row: (not row.other_size, row.top1), default=None)


def timed(rows: list[Published], runtime: str, turns: Turns) -> list[dict[str, Any]]:
    """The rows with the time of a call, and its 95 % interval, in milliseconds."""
    networks = [row.sized().with_(name=row.weights) for row in rows]
    done = measure(networks, (runtime,), turns=turns, say=print)
    times = {one.subject.name: one.timing for one in done.measured}
    found = []
    for row in rows:
        low, high = times[row.weights].interval()
        figures = {"milliseconds": 1e3 * times[row.weights].median, "interval": [1e3 * low, 1e3 * high]}
        found.append({"weights": row.weights, "pixels": row.pixels, **figures})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", default=",".join(NETWORKS), help="names of the zoo, with commas")
    parser.add_argument("--runtime", default="optimized", help="of `compound measure`")
    parser.add_argument("--calls", type=int, default=20, help="timed calls of each network")
    options = parser.parse_args()
    rows = [row for name in options.networks.split(",") if (row := chosen(ZOO[name].name))]
    result = {"runtime": options.runtime, "threads": 1, "batch": 1, "calls": options.calls}
    write_result(NAME, result | {"networks": timed(rows, options.runtime, Turns(options.calls, min(5, options.calls)))})


if __name__ == "__main__":
    main()
