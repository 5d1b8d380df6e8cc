"""One elastic training against networks trained alone: accuracy at each size on the test images of fashion6k.

    python -m benchmarks.elastic                       # efficientnet-mini scaled to φ = -2, sizes from there to -2
    python -m benchmarks.elastic --phi 0 --epochs 45

`elastic` trains all sizes for the epochs; `alone` each of three sizes for a third of them, the same epochs in total;
`alone, each` each size for all of them, three times the epochs in total. Seconds are of the processor, which a busy
machine does not change. Writes benchmarks/results/elastic.json; a training that it has is not repeated.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import compound
from benchmarks.environment import RESULTS, begun_result, write_result
from compound import RECIPES, ZOO, DataSpec, Setup, cost
from compound.evaluation import evaluate
from compound.nn import ConvNet, load_weights
from compound.training.elastic import sized
from compound.training.judging import data_of_run
from compound.verbs.sizes import Size, cut_size

SIZES = (0.0, -1.0, -2.0)


def judged(model: ConvNet, images: Any) -> dict[str, Any]:
    found = evaluate(model, images.test, images.classes)
    told = {"macs": cost(model.network).macs, "top1": found.top(1), "interval": list(found.interval())}
    return told | {"images": found.images, "loss": found.loss}


def trained(name: str, epochs: int, start: float, folder: Path) -> dict[str, Any]:
    """The sizes of one training, or one of three."""
    network = sized(ZOO["efficientnet-mini"], start)
    recipe = replace(RECIPES["small"], epochs=epochs, precision="fp32")
    sizes: dict[str, Any] = {}
    begun = time.process_time()
    if name == "elastic":
        done = compound.train(network, DataSpec("fashion6k"), replace(recipe, elastic=min(SIZES)), folder / name)
        images, _ = data_of_run(done.run)
        spent = time.process_time() - begun
        for phi in SIZES:
            sizes[str(phi)] = judged(
                load_weights(cut_size(Size(done.run.path, phi), folder / f"{name}{phi}").file)[0], images
            )
        return {"processor_seconds": spent, "sizes": sizes}
    for phi in SIZES:
        one = compound.train(sized(network, phi), DataSpec("fashion6k"), recipe, folder / f"{name}{phi}", setup=Setup())
        images, _ = data_of_run(one.run)
        sizes[str(phi)] = judged(load_weights(one.run.weights)[0], images)
    return {"processor_seconds": time.process_time() - begun, "sizes": sizes}


def main(options: argparse.Namespace, folder: Path) -> None:
    settings = {"epochs": options.epochs, "phi": options.phi, "data": "fashion6k", "seed": 0}
    rows = begun_result("elastic", "trainings", settings, options.results)
    each = {"elastic": options.epochs, "alone": options.epochs // len(SIZES), "alone, each": options.epochs}
    for name, epochs in each.items():
        if name not in rows:
            rows[name] = {"epochs": epochs} | trained(name, epochs, options.phi, folder)
            write_result("elastic", {"settings": settings, "trainings": rows}, options.results)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--phi", type=float, default=-2.0, help="of the largest size, from efficientnet-mini")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="elastic-") as temporary:
        main(options, Path(temporary))
