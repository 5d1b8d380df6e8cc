"""Does the recipe that few photos have by default train any network? Twenty families on 200 pictures from nothing.

    python -m benchmarks.zoo_few                       # about 15 minutes of one core
    python -m benchmarks.zoo_few --networks resnet-18,vgg-11-bn --epochs 8

The pictures are 200 of those of `benchmarks/stamps.py` (Debian's tuxpaint-stamps-default; elsewhere than in /usr/share:
--stamps FOLDER), at 64 px. Each network trains for few epochs as `compound train` does where no recipe is named. It
says whether losses stay numbers and below ten times that of guessing, and fall; accuracies of so few steps say little.
A network that the result file has losses of is not repeated.

Writes benchmarks/results/zoo-few-photos.json.
"""

import argparse
import csv
import math
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import pictures
from benchmarks.environment import RESULTS, begun_result, write_result
from benchmarks.stamps import write_photos
from compound import ZOO, train
from compound.data import DataSet, DataSpec
from compound.errors import CompoundError
from compound.execution import Execution
from compound.training import RECIPES, Setup
from compound.training.recipes import usual_recipe

NETWORKS = (
    "mobilenet-v1", "mobilenet-v2", "mobilenet-v3-small", "efficientnet-b0", "efficientnet-lite0", "efficientnetv2-b0",
    "resnet-18", "resnet-50", "resnext-50-32x4d", "se-resnet-50", "alexnet", "vgg-11", "vgg-16-bn", "googlenet",
    "densenet-121", "squeezenet-1.1", "shufflenet-v2-x1.0", "mnasnet-a1", "regnety-400mf", "convnext-atto",
    "mobileone-s0", "nasnet-a-mobile",
)  # fmt: skip
NAME = "zoo-few-photos"
TENFOLD = 10


def write_some(folder: Path, count: int) -> None:
    """`count` of the pictures, of every class its share."""
    write_photos("photographs", folder)
    files = sorted(folder.rglob("*.png"))
    kept = {files[i * len(files) // count] for i in range(count)}
    for file in files:
        if file not in kept:
            file.unlink()


def trained(name: str, images: DataSet, out: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The losses of one training, or the sentence with which it ended."""
    network = ZOO[name].with_(resolution=options.resolution)
    recipe = replace(RECIPES[usual_recipe(False, images)], epochs=options.epochs, precision="fp32")
    row: dict[str, Any] = {"recipe": recipe.name}
    try:
        done = train(network, images, recipe, out, setup=Setup(execution=Execution("cpu"), seed=options.seed))
    except CompoundError as error:
        return row | {"ended": str(error), "holds": False}
    with (out / "metrics.csv").open() as file:
        losses = [float(epoch["train_loss"]) for epoch in csv.DictReader(file)]
    guess, judged = math.log(len(images.classes)), done.result
    whole = all(map(math.isfinite, (*losses, judged.loss)))
    return row | {
        "training_losses": [round(loss, 4) for loss in losses],
        "test_loss": round(judged.loss, 4),
        "top1": judged.top(1),
        "holds": whole and max(losses) < TENFOLD * guess and losses[-1] < losses[0],
    }


def main(options: argparse.Namespace, folder: Path) -> None:
    pictures.STAMPS = options.stamps
    write_some(folder / "photos", options.pictures)
    images = DataSpec(str(folder / "photos"), seed=options.seed).open()
    told = ("pictures", "epochs", "resolution", "seed")
    settings: dict[str, Any] = {name: getattr(options, name) for name in told}
    settings |= {"classes": len(images.classes), "training_images": len(images.train), "test_images": len(images.test)}
    rows = begun_result(NAME, "networks", settings, options.results)
    for name in options.networks.split(","):
        if "training_losses" not in rows.get(name, {}):  # what ended a training may have been another's doing
            rows[name] = trained(name, images, folder / name, options)
            holds = sum(row["holds"] for row in rows.values())
            told_of = {"settings": settings, "tried": len(rows), "hold": holds, "networks": rows}
            write_result(NAME, told_of, options.results)
            print(name, rows[name], file=sys.stderr, flush=True)
    print(options.results / f"{NAME}.json")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stamps", type=Path, default=pictures.STAMPS, help="the folder of the package's stamps")
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="zoo-few-") as temporary:
        main(options, Path(temporary))
