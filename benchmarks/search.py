"""Is a search worth its time? Its winner against random networks and the hand-made one, and τ.

    python -m benchmarks.search                       # all parts, over two hours on two cores
    python -m benchmarks.search --parts search        # one after the other; what is done is not done again

coefficients    `search coefficients` with its defaults, timed: 12 triples α, β, γ of twice the multiply-adds
search          an architecture search, timed: shared weights, the space `small`, evolution, finalists; every candidate
                has 90 to 100 % of the multiply-adds of the hand-made efficientnet-mini
compare         winner, random networks of the same window and efficientnet-mini, each trained in full with several
                seeds on all training images; accuracy on the 10,000 test images of Fashion-MNIST, of which the search
                has seen none (the 1,000 that come with the package tell too little apart)
validate        Kendall's τ between inherited accuracy and full training on a sample of a wider window, both by the
                60,000 training images, of which one in ten is held out: fewer would tell the networks too little apart

The last two need the folder of the four idx files of Fashion-MNIST (Debian: dataset-fashion-mnist).

Writes benchmarks/results/search.json.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from benchmarks.environment import write_result
from compound import ZOO, Network, cost, load_network
from compound.data import open_data
from compound.evaluation import evaluate
from compound.files import make_folder, write_json
from compound.nn import load_model
from compound.search.architecture_plan import open_plan
from compound.search.truth import sample_networks
from compound.training import RECIPES, start_run, train

DATA, BASELINE = "fashion6k", "efficientnet-mini"
CLASSES, CHANNELS = 10, 1
PATHS = ("out", "rule")  # of this machine, which a result does not name
ROW = ("network", "macs", "params", "true", "proxy")  # of a validated network


def command(*words: object) -> dict[str, Any]:
    """The JSON object that a verb prints."""
    run = subprocess.run(
        [sys.executable, "-m", "compound", *map(str, words), "--json"], stdout=subprocess.PIPE, check=True
    )
    value: dict[str, Any] = json.loads(run.stdout)
    return value


def timed(*words: object) -> dict[str, Any]:
    """`command`, with the seconds it took."""
    begun = time.perf_counter()
    return command(*words) | {"seconds": round(time.perf_counter() - begun, 1)}


def coefficients(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    words = ("--seed", options.seed, "--workers", options.workers, "--out", folder / "coefficients")
    return timed("search", "coefficients", BASELINE, DATA, *words)


def search(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    return timed(
        "search", "architecture", DATA, "--space", "small", "--macs", target(), "--least", 0.9, "--most", 1.0,
        "--objective", "hard", "--evaluation", "shared", "--minutes", options.minutes, "--trials", options.trials,
        "--finalists", options.finalists, "--seed", options.seed, "--out", folder / "search",
    )  # fmt: skip


def target() -> int:
    return cost(ZOO[BASELINE].with_(classes=CLASSES, channels=CHANNELS)).macs


def compare(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Test accuracy of every network with every seed. A run that is done is read, not repeated."""
    plan, space = open_plan(folder / "search")
    window = plan.problem(space, plan.trainer())
    drawn = sample_networks(space, window, options.random, options.seed + 1000)
    networks = {"winner": load_network(folder / "search" / "network.yaml"), BASELINE: ZOO[BASELINE]}
    networks |= {f"random {i}": network for i, (_, network) in enumerate(drawn, 1)}
    rows = {}
    with ProcessPoolExecutor(options.workers, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        asked = {
            name: [
                pool.submit(accuracy, network, folder / f"{network.name}-{seed}", seed, options.fashion)
                for seed in range(options.random_seeds if name.startswith("random") else options.seeds)
            ]
            for name, network in networks.items()
        }
        for name, network in networks.items():
            counted, top1 = (
                cost(network.with_(classes=CLASSES, channels=CHANNELS)),
                [one.result() for one in asked[name]],
            )
            rows[name] = {"network": network.name, "macs": counted.macs, "params": counted.params, "top1": top1}
            print(name, network.name, [f"{value:.2%}" for value in top1], file=sys.stderr)
    means = {name: statistics.mean(row["top1"]) for name, row in rows.items()}
    random = [mean for name, mean in means.items() if name.startswith("random")]
    # By seeds alone: how far two trainings of one network lie apart.
    spreads = [statistics.stdev(row["top1"]) for row in rows.values() if len(row["top1"]) > 1]
    return {
        "networks": rows,
        "winner": means["winner"],
        "median_of_random": statistics.median(random),
        "best_of_random": max(random),
        "baseline": means[BASELINE],
        "deviation_between_seeds": statistics.mean(spreads) if spreads else None,
    }


def accuracy(network: Network, folder: Path, seed: int, fashion: Path) -> float:
    """Top-1 on the test images of the folder `fashion` after full training on all training images."""
    if not (folder / "evaluation.json").exists():
        data = open_data(DATA, seed=seed)
        recipe = replace(RECIPES["small"], precision="fp32")
        resume = (folder / "run.yaml").exists()
        train(start_run(network, data, recipe, folder, seed=seed, resume=resume), data, quiet=True)
    model, weights = load_model(folder / "model.safetensors")
    return evaluate(model, open_data(str(fashion)).test, weights.classes).top(1)


def validate(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """τ, in a search of few trials: it is the shared weights that are judged."""
    command(
        "search", "architecture", options.fashion, "--space", "small", "--macs", target(), "--least", 0.1,
        "--most", 1.5, "--holdout", 0.1, "--evaluation", "shared",
        "--minutes", options.validate_minutes, "--trials", 10, "--finalists", 0,
        "--seed", options.seed, "--out", folder / "wide",
    )  # fmt: skip
    found = command(
        "search", "validate", folder / "wide", "--sample", options.sample, "--seeds", options.truth_seeds,
        "--epochs", options.truth_epochs, "--workers", options.workers,
    )  # fmt: skip
    known = json.loads(Path(found["out"]).read_text())["rows"]
    return found | {"networks": [{name: row[name] for name in ROW} for row in known]}


PARTS = {"coefficients": coefficients, "search": search, "compare": compare, "validate": validate}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/benchmark-search"), help="where runs lie")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--minutes", type=float, default=6, help="of training the shared weights")
    parser.add_argument("--trials", type=int, default=150)
    parser.add_argument("--finalists", type=int, default=2)
    parser.add_argument("--random", type=int, default=5)
    parser.add_argument("--random-seeds", type=int, default=2, help="trainings of each random network")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of winner and baseline")
    parser.add_argument("--fashion", type=Path, default=Path("/usr/share/datasets/fashion-mnist"))
    parser.add_argument("--validate-minutes", type=float, default=10, help="of training the shared weights of validate")
    parser.add_argument("--sample", type=int, default=20)
    parser.add_argument("--truth-seeds", type=int, default=1)
    parser.add_argument("--truth-epochs", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2, help="trainings side by side, of one thread each")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    file = make_folder(options.out) / "parts.json"
    found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    for part in options.parts.split(","):
        found[part] = {name: value for name, value in PARTS[part](options.out, options).items() if name not in PATHS}
        write_json(file, found)
    settings = {name: value for name, value in vars(options).items() if name not in ("out", "parts", "fashion")}
    print(write_result("search", {"settings": settings} | found))


if __name__ == "__main__":
    main()
