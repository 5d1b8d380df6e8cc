"""What other precisions cost a trained network: accuracy beside fp32 image by image, on test images.

    compound train efficientnet-mini fashion6k --epochs 10 -o trained
    compound train efficientnet-mini fashion6k --weights trained --recipe small --rate 0.1 --epochs 2 -o longer
    compound train efficientnet-mini fashion6k --weights trained --recipe small --rate 0.1 --epochs 2 --integers \
        -o aware
    python -m benchmarks.precision trained longer aware

Files are calibrated on 128 training images; those that mix precisions are chosen by 300 held-out ones. `lost` is the
share of test images that fp32 has right more often, with the 95 % interval of the paired difference. Writes
benchmarks/results/precision.json; a run that it has is not repeated.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.environment import RESULTS, begun_result, write_result
from compound.deploy import Quantised, export
from compound.deploy.export import probe, size_of
from compound.deploy.quantise import CALIBRATION
from compound.evaluation import compare, evaluate
from compound.nn import load_weights
from compound.runtimes import open_runtime
from compound.training import open_run
from compound.training.judging import data_of_run

CHOOSING = 300


def one_run(place: Path, folder: Path) -> dict[str, Any]:
    run = open_run(place)
    images, _ = data_of_run(run)
    model, described = load_weights(run.weights)
    held = probe(model, images.holdout, True, CHOOSING)
    quantised = Quantised(probe(model, images.train, False, CALIBRATION).pixels, held.pixels)
    done = export(model, described.classes, ["onnx", "openvino"], folder, held, quantised=quantised)
    whole = evaluate(model, images.test, described.classes)
    rows = {}
    for one in done:
        found = evaluate(open_runtime(folder / one.file, one.precision, 1), images.test, described.classes)
        against = compare(found, whole)
        same = found.probabilities.argmax(1) == whole.probabilities.argmax(1)
        rows[f"{one.runtime} {one.precision}"] = {
            "bytes": size_of(folder / one.file),
            "top1": found.top(1),
            "lost": against.difference,
            "interval": list(against.interval()),
            "agrees": same.double().mean().item(),
        }
    return {"network": run.network.name, "images": whole.images, "top1": whole.top(1), "files": rows}


def main(options: argparse.Namespace, folder: Path) -> None:
    torch.set_num_threads(1)
    settings = {"calibration": CALIBRATION, "choosing": CHOOSING, "data": "fashion6k"}
    rows = begun_result("precision", "runs", settings, options.results)
    for run in options.runs:
        if run.name not in rows:
            (folder / run.name).mkdir()
            rows[run.name] = one_run(run, folder / run.name)
            write_result("precision", {"settings": settings, "runs": rows}, options.results)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="precision-") as temporary:
        main(options, Path(temporary))
