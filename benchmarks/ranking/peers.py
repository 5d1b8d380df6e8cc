"""Which strategy to use at which budget: ours and Optuna's, on landscapes that agree with the networks trained in full.

    python -m benchmarks.ranking.peers                 # resumes; nothing is trained

The space `small`, at most efficientnet-mini's multiply-adds and at least half of them, the accuracy alone counts.
Every seed has a landscape of its own (`benchmarks.ranking.landscape`) and gives the strategy its seed. Optuna's
Gaussian process is left out: it fits itself anew for every proposal that the costs refuse, and took over two seconds
each. After each number of trials the candidate that looked the best is held against the best of the landscape that is
known, by their values without noise. Writes benchmarks/results/ranking-peers.json.
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from benchmarks.environment import RESULTS, begun_result, write_result
from benchmarks.ranking.landscape import Landscape, Process
from benchmarks.ranking.worth import features
from compound import ZOO, cost
from compound.errors import NetworkError
from compound.search.architecture import ArchitectureSearch
from compound.search.objective import Objective
from compound.search.space_file import find_space
from compound.search.strategies import architecture_strategy
from compound.search.surrogate import ConfigurationFeatures
from compound.search.validation import kendall
from compound.trials import Search, Strategy, trials_of, work

SPACE = find_space("small").with_(classes=10, channels=1)
MOST = cost(ZOO["efficientnet-mini"].with_(classes=10, channels=1)).macs
LEAST = 0.5
BUDGETS = (5, 10, 20, 40)
KNOWN = 1500  # networks drawn to find the best of a landscape, before its neighbourhood is climbed


def strategy(name: str, trials: int, seed: int) -> Strategy:
    way, _, screen = name.partition(" + ")
    return architecture_strategy(way, SPACE, trials, form="hard", screen=screen or "none", seed=seed)


NAMES = ("random", "evolution", "ppo", "tpe", "nsga2", "random + surrogate", "evolution + surrogate")


def problem(landscape: Landscape) -> ArchitectureSearch:
    return ArchitectureSearch(SPACE, Objective("macs", MOST, "hard"), landscape, LEAST, 1.0)


class Pool:
    """Networks within the costs, with their features: drawn once, valued by every landscape."""

    def __init__(self, window: ArchitectureSearch) -> None:
        self.features, self.places = [], []
        read = ConfigurationFeatures(SPACE)
        for place, network in SPACE.networks(random.Random(7)):
            try:
                fits = window.admits(network)
            except NetworkError:
                continue
            if fits:
                self.features.append(read(place))
                self.places.append(place)
            if len(self.places) == KNOWN:
                break

    def best(self, landscape: Landscape, window: ArchitectureSearch) -> float:
        """The highest value that is known: of the pool, and from its best up by single choices."""
        values, read = landscape.values(self.features), ConfigurationFeatures(SPACE)
        highest = float(values.max())
        for start in np.argsort(-values)[:3]:
            place, value = self.places[start], float(values[start])
            while True:
                near = [
                    {**place, choice.name: label}
                    for choice in SPACE.choices
                    for label in choice.labels
                    if label != place[choice.name]
                ]
                near = [one for one in near if window.candidate(one) is not None]
                around = landscape.values([read(one) for one in near])
                if not len(near) or around.max() <= value:
                    break
                place, value = near[int(around.argmax())], float(around.max())
            highest = max(highest, value)
        return highest


def searched(name: str, landscape: Landscape, seed: int, trials: int) -> tuple[list[float], float]:
    """The value without noise of what looked the best after each trial, and seconds a proposal."""
    with warnings.catch_warnings(), tempfile.TemporaryDirectory(prefix="peers-") as folder:
        search = Search(problem(landscape), f"{folder}/journal", trials, strategy(name, trials, seed), seed)
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        begun = time.process_time()
        work(search)
        seconds = (time.process_time() - begun) / trials
        found = [trial for trial in trials_of(search) if trial.values]
    read = ConfigurationFeatures(SPACE)
    values = landscape.values([read(trial.params) for trial in found])
    seen = np.array([trial.values[0] for trial in found])
    return [float(values[int(seen[: i + 1].argmax())]) for i in range(len(found))], seconds


def process() -> tuple[Process, dict[str, Any]]:
    """The process of the networks that `benchmarks.search` trained, and how well it foresees those left out."""
    rows = list(json.loads((RESULTS / "ranking-twenty.json").read_text(encoding="utf-8"))["networks"].values())
    search = json.loads((RESULTS / "search.json").read_text(encoding="utf-8"))
    between = search["compare"]["deviation_between_seeds"]
    values = np.array([statistics.mean(row["true"]) for row in rows])
    fitted = Process.fit(features(rows), values, between**2)
    told = {"networks": len(rows), "length": fitted.length, "deviation_of_their_own": fitted.variance**0.5}
    told |= {"deviation_between_seeds": between, "left_out_tau": kendall(fitted.left_out().tolist(), values.tolist())}
    return fitted, told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    fitted, about = process()
    settings = {"budgets": list(BUDGETS), "most_macs": MOST, "least": LEAST, "process": about}
    rows = begun_result("ranking-peers", "strategies", settings, given.results)
    pool = Pool(problem(Landscape(SPACE, fitted, 0)))
    for seed in range(given.seeds):
        landscape = Landscape(SPACE, fitted, seed, about["deviation_between_seeds"])
        best = pool.best(landscape, problem(landscape))
        for name in NAMES:
            if str(seed) in rows.setdefault(name, {}):
                continue
            values, seconds = searched(name, landscape, seed, max(BUDGETS))
            behind = {str(n): round(best - values[n - 1], 6) for n in BUDGETS}
            rows[name][str(seed)] = {"behind": behind, "seconds_a_trial": round(seconds, 4)}
            print(seed, name, behind, f"{seconds:.3f} s", file=sys.stderr, flush=True)
        write_result("ranking-peers", {"settings": settings, "strategies": rows}, given.results)


if __name__ == "__main__":
    main()
