"""Evaluations of the 20 networks that `benchmarks.search` trained in full: short trainings, proxies.

    python -m benchmarks.ranking.twenty --fashion FOLDER       # resumes

Their truth is in benchmarks/results/search.json: 1,686 steps on 54,000 training images of Fashion-MNIST, judged by the
6,000 that were held out, one seed. Here each is trained by the same recipe for a sixteenth, an eighth, … of the steps,
with a schedule that ends there and another seed, in bf16, and judged by 2,000 of the 6,000. Seconds are the process's
own, of one thread. Writes benchmarks/results/ranking-twenty.json after every network.
"""

import argparse
import copy
import json
import random
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.environment import RESULTS, begun_result, write_result
from compound import Network
from compound.data import DataSet, DataSpec
from compound.data.source import subset
from compound.execution import Execution
from compound.search.place import place_in
from compound.search.proxies import PROXIES, Proxy
from compound.search.space import Space
from compound.search.space_file import find_space, parse_space
from compound.training import RECIPES
from compound.training.short import ShortTraining, opened
from compound.trials import unheard

WHOLE = 1686  # steps of the truth
SHARES = (16, 8, 4)
WATCHED, SEED = 2000, 1


def space_then() -> Space:
    """`small` as it was when the networks were drawn from it."""
    source: Any = copy.deepcopy(dict(find_space("small").source))
    source["stages"][0]["expand"]["choices"].remove(1)
    source["stages"][1]["channels"]["choices"].remove(48)
    return parse_space(source)


def networks() -> dict[str, tuple[Network, dict[str, Any]]]:
    """The 20 with their places in the space as it is."""
    wanted = {row["network"]: row for row in truths()}
    now, found = find_space("small"), {}
    for _, network in space_then().networks(random.Random(0)):
        if network.name in wanted and network.name not in found:
            place = place_in(now, network)
            assert place is not None
            found[network.name] = (network, place)
        if len(found) == len(wanted):
            return {name: found[name] for name in wanted}
    raise AssertionError("unreachable: the draw has no end")


def truths() -> list[dict[str, Any]]:
    known = json.loads((RESULTS / "search.json").read_text(encoding="utf-8"))
    rows: list[dict[str, Any]] = known["validate"]["networks"]
    return rows


@cache
def images(spec: DataSpec) -> DataSet:
    """With some of the held-out images only, drawn evenly."""
    data = opened(spec)
    drawn = np.sort(np.random.default_rng(0).permutation(len(data.holdout))[:WATCHED])
    return replace(data, holdout=subset(data.holdout, drawn))


def trained(network: Network, spec: DataSpec, steps: int) -> dict[str, float]:
    recipe = replace(RECIPES["small"], epochs=1, precision="bf16")
    trainer = ShortTraining(spec, recipe, Execution("cpu", workers=0, threads=1), steps=steps)
    data, begun = images(spec), time.process_time()
    accuracy, loss = trainer.trained(network, data, SEED, unheard)[1].last
    return {"top1": accuracy, "loss": loss, "seconds": round(time.process_time() - begun, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fashion", default="/usr/share/datasets/fashion-mnist", help="the folder of Fashion-MNIST")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    spec = DataSpec(given.fashion, None, 0.1, 0, None, False)
    settings = {"space": "small", "whole_steps": WHOLE, "shares": list(SHARES), "watched_images": WATCHED, "seed": SEED}
    rows = begun_result("ranking-twenty", "networks", settings, given.results)
    drawn = networks()
    for row in truths():
        network, place = drawn[row["network"]]
        if network.name not in rows:
            known = {name: row[name] for name in ("macs", "params", "true")}
            rows[network.name] = known | {
                "parameters": place,
                "short": {},
                "proxies": {"shared": {"score": row["proxy"]}},
            }
    for share in SHARES:
        for name, (network, _) in drawn.items():
            if str(share) not in rows[name]["short"]:
                rows[name]["short"][str(share)] = trained(network, spec, WHOLE // share)
                print(share, name, rows[name]["true"], rows[name]["short"][str(share)], flush=True)
                write_result("ranking-twenty", {"settings": settings, "networks": rows}, given.results)
        for proxy in PROXIES:
            for name, (network, _) in drawn.items():
                if proxy not in rows[name]["proxies"]:
                    begun = time.process_time()
                    score = Proxy(proxy)(network.with_(classes=10, channels=1))
                    rows[name]["proxies"][proxy] = {"score": score, "seconds": round(time.process_time() - begun, 3)}
        print(write_result("ranking-twenty", {"settings": settings, "networks": rows}, given.results), flush=True)


if __name__ == "__main__":
    main()
