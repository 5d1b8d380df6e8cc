"""A trained run brought within shares of its multiply-adds by every way of `compound shrink`, and how each begins.

    python -m benchmarks.shrunken RUN --name fashion6k            # 70, 50 and 30 % of the MACs, an epoch a way
    python -m benchmarks.shrunken RUN --name stamps --shares 0.7,0.5 --epochs 3

Every way trains for the same epochs, by a quarter of the run's rate, so that a busy machine changes no accuracy.
`before` is the network before its first step, on the run's held-out images; `former` how it began when channels were
chosen by their filters and nothing was corrected. A budget that the result file has is not repeated.

Writes benchmarks/results/shrunken-NAME.json.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import compound
from benchmarks.environment import RESULTS, begun_result, write_result
from compound import Budget, Setup, cost
from compound.evaluation import evaluate
from compound.nn import ConvNet, inherit, load_weights
from compound.training import open_run
from compound.training.judging import data_of_run
from compound.training.start import first_model
from compound.verbs.ways import CUTS, PRECISIONS, find_ways

WAYS = ("compound", "width", "shrink", *CUTS, *PRECISIONS)
SLOWER = 0.25  # of the rate that the run was trained with from nothing


def judged(model: ConvNet, images: Any) -> dict[str, Any]:
    found = evaluate(model, images.holdout, images.classes)
    return {"top1": found.top(1), "interval": list(found.interval()), "loss": found.loss, "images": found.images}


def one_budget(place: Path, share: float, epochs: int, folder: Path) -> dict[str, Any]:
    """What every way begins with and ends with."""
    run = open_run(place)
    images, _ = data_of_run(run)
    whole, _ = load_weights(run.weights)
    budget = Budget(macs=share * cost(run.network).macs)
    recipe = replace(run.recipe, minutes=None, epochs=epochs, rate=run.recipe.rate * SLOWER, precision="fp32")
    ways, _ = find_ways(run, images, budget, WAYS, folder, 0)
    begins = {name: judged(first_model(way.network, images, recipe.transfer, way.start), images)
              for name, way in ways.items()}  # fmt: skip
    former = {name: judged(inherit(whole, way.network), images) for name, way in ways.items() if name not in CUTS}
    found = compound.shrink(place, budget, folder, ways=WAYS, recipe=recipe, setup=Setup()).to_json()
    return {"macs": budget.macs, "before": begins, "former": former, "found": found}


def main(options: argparse.Namespace, folder: Path) -> None:
    settings = {"epochs": options.epochs, "rate": SLOWER, "network": open_run(options.run).network.name}
    name = f"shrunken-{options.name}"
    rows = begun_result(name, "budgets", settings, options.results)
    for share in map(float, options.shares.split(",")):
        if str(share) not in rows:
            (folder / str(share)).mkdir()
            rows[str(share)] = one_budget(options.run, share, options.epochs, folder / str(share))
            write_result(name, {"settings": settings, "budgets": rows}, options.results)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--name", required=True)
    parser.add_argument("--shares", default="0.7,0.5,0.3")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="shrunken-") as temporary:
        main(options, Path(temporary))
