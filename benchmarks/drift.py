"""Accuracy without labels, on a stream that gets worse step by step: what `compound drift` says against the truth.

    compound train efficientnet-mini fashion6k --epochs 10 -o RUN           # three minutes
    python -m benchmarks.drift RUN                                          # a minute

The reference is the run's held-out images; the stream is its test images, as they are and under five severities of
noise and blur, which the reference was measured under too, and of contrast and rotation, which it was not. Each step
goes through a log of scores. Told are the truth, the estimate with its interval, and what two published estimates say
by confidence alone: the difference of confidences (Guillory et al. 2021), and average thresholded confidence (Garg et
al. 2022). Writes benchmarks/results/drift.json and docs/images/drift.svg.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from benchmarks.environment import RESULTS, write_result
from compound.data import ArraySource
from compound.deploy.scorelog import Scored, ScoreLog, read_log
from compound.evaluation import evaluate
from compound.evaluation.drift import Reference, estimate
from compound.evaluation.figures import save_figure
from compound.evaluation.robustness import blur, noise
from compound.execution import Execution
from compound.nn import load_weights
from compound.training import open_run
from compound.training.judging import data_of_run
from compound.verbs.drift import measured

FIGURE = Path(__file__).parents[1] / "docs" / "images" / "drift.svg"
HERE = Execution("cpu", workers=0)
STEPS = range(1, 6)


def contrast(images: Tensor, severity: int, numbers: list[int]) -> Tensor:
    """Closer to the mean of each image, as ImageNet-C has it."""
    kept = (0.4, 0.3, 0.2, 0.1, 0.05)[severity - 1]
    means = images.float().mean((2, 3), keepdim=True)
    return ((images - means) * kept + means).round().clamp(0, 255).to(torch.uint8)


def rotation(images: Tensor, severity: int, numbers: list[int]) -> Tensor:
    """By 10° a step."""
    turned: Tensor = F.rotate(images, 10.0 * severity)
    return turned


KINDS: dict[str, Callable[[Tensor, int, list[int]], Tensor]] = {
    "noise": noise,
    "blur": blur,
    "contrast": contrast,
    "rotation": rotation,
}
UNKNOWN_TO_IT = ("contrast", "rotation")


def rows_of(run: Path, folder: Path) -> list[dict[str, Any]]:
    net, described = load_weights(run)
    data, _ = data_of_run(open_run(run))
    known = measured(net, data.holdout, described.classes, "", HERE)
    assert isinstance(data.test, ArraySource)
    numbers, found = list(range(len(data.test))), []
    for kind, make in KINDS.items():
        for step in (0, *STEPS):
            pixels = make(data.test.images, step, numbers) if step else data.test.images
            result = evaluate(net, ArraySource(pixels, data.test.labels, "stream"), described.classes, HERE)
            log = folder / f"{kind}-{step}.jsonl"
            answers = zip(result.predicted.tolist(), result.confidence.tolist(), strict=True)
            ScoreLog(log, run.name).add([Scored(described.classes[index], value) for index, value in answers])
            logged = read_log(log).images
            said = estimate(known, [one.name for one in logged], [one.confidence for one in logged])
            row = {"kind": kind, "step": step, "images": said.images, "top1": result.top(1), "estimated": said.top1,
                   "interval": list(said.interval), "by_confidence": said.by_confidence,
                   "by_threshold": by_threshold(known, result.confidence.double())}  # fmt: skip
            print(row, file=sys.stderr)
            found.append(row)
    return found


def by_threshold(known: Reference, new: Tensor) -> float:
    """The share of `new` (m,) above the confidence that as large a share of the labelled images exceeds as is right."""
    ordered = torch.tensor(known.confidence).double().sort(descending=True).values
    right = sum(known.right)
    above = ordered[right] if right < len(ordered) else -torch.inf
    return (new > above).double().mean().item() if right else 0.0


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and largest error of the estimates, and how often the interval has the truth."""
    found = {}
    for name, some in {
        "all": rows,
        "measured kinds": [row for row in rows if row["kind"] not in UNKNOWN_TO_IT],
        "other kinds": [row for row in rows if row["kind"] in UNKNOWN_TO_IT and row["step"]],
    }.items():
        told: dict[str, Any] = {"steps": len(some)}
        for by in ("estimated", "by_confidence", "by_threshold"):
            errors = [abs(row[by] - row["top1"]) for row in some]
            told |= {by: {"mean_error": sum(errors) / len(errors), "largest_error": max(errors)}}
        told["within"] = sum(row["interval"][0] <= row["top1"] <= row["interval"][1] for row in some)
        found[name] = told
    return found


def drawn(rows: list[dict[str, Any]]) -> Figure:
    figure = Figure(figsize=(7.2, 2.3), layout="constrained")
    for axes, kind in zip(figure.subplots(1, len(KINDS), sharey=True), KINDS, strict=True):
        some = [row for row in rows if row["kind"] == kind]
        steps = [row["step"] for row in some]
        low, high = zip(*(row["interval"] for row in some), strict=True)
        axes.fill_between(steps, low, high, color="#b9cfe4", linewidth=0)
        axes.plot(steps, [row["estimated"] for row in some], color="#2f6db3", label="estimate")
        axes.plot(steps, [row["top1"] for row in some], "o", color="#222222", markersize=3.5, label="truth")
        axes.set_title(kind, fontsize=9)
        axes.set_ylim(0, 1)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlabel("severity", fontsize=8)
    first = figure.axes[0]
    first.set_ylabel("top-1", fontsize=8)
    first.legend(fontsize=7, frameon=False, loc="lower left")
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--figure", type=Path, default=FIGURE)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = rows_of(given.run, Path(folder))
    print(write_result("drift", {"summary": summary(rows), "steps": rows}, given.results))
    save_figure(drawn(rows), given.figure)


if __name__ == "__main__":
    main()
