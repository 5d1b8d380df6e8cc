"""`compound train`: a network on a data set, into a run directory."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compound.cli.common import Json, NetworkName, answer
from compound.cli.training import Data, TrainingOptions, with_training
from compound.cost import cost, cost_fields
from compound.verbs.given import find_network

if TYPE_CHECKING:
    from compound.evaluation import Evaluation
    from compound.training import Run


FIELDS = ("images", "mean_average_precision", "top1", "top1_interval", "top5", "loss", "damaged")


@with_training
def train(
    network: NetworkName,
    data: Data,
    training: TrainingOptions,
    resolution: Annotated[int | None, typer.Option(min=1, help="Pixels, instead of the network's.")] = None,
    json: Json = False,
) -> None:
    """Train a network and evaluate it once on the test images."""
    found = find_network(network)
    if resolution:
        found = found.with_(resolution=resolution)
    recipe = training.find_recipe()
    images = training.open_data(data)
    out = training.out or Path("runs") / f"{found.name}-{images.name}".replace(" ", "-")
    run, result = training.run(found, images, recipe, out, quiet=json)
    part = "held-out" if training.final is False else "test"
    answer(json, {"part": part} | result_fields(run, result), result_text(run, result, part))


def result_fields(run: "Run", result: "Evaluation") -> dict[str, Any]:
    counted = cost(run.network)
    summary = result.summary()
    return cost_fields(run.network, counted) | {
        "out": str(run.path),
        "weights": str(run.weights),
        "epochs": run.recipe.epochs,
        **{name: summary[name] for name in FIELDS if name in summary},
    }


def result_text(run: "Run", result: "Evaluation", part: str = "test") -> str:
    return f"{evaluation_text(result, part)}\nrun directory {run.path}; weights {run.weights}"


def evaluation_text(result: "Evaluation", part: str = "test") -> str:
    """The accuracy in one line, and what could not be read."""
    from compound.evaluation import SeveralLabels

    low, high = result.interval()
    lines = []
    if isinstance(result, SeveralLabels) and result.mean_average_precision is not None:
        lines = [
            f"mean average precision {result.mean_average_precision:.2%}; below, top-k: one of its labels is there"
        ]
    lines += [
        f"{part} top-1 {result.top(1):.2%} (95 % interval {low:.2%} to {high:.2%}), "
        f"top-5 {result.top(5):.2%}, loss {result.loss:.4f}, {result.images:,} images"
    ]
    lines += [f"unreadable: {path}: {reason}" for path, reason in result.damaged]
    return "\n".join(lines)
