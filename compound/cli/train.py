"""`compound train`: a network on a data set, into a run directory."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compound.cli.answers import Json, answer, note
from compound.cli.options.networks import NetworkName, in_order
from compound.cli.options.training import Data, TrainingOptions, folds_of, with_training
from compound.verbs import train as verb
from compound.verbs.given import find_network

if TYPE_CHECKING:
    from compound.data import DataSet
    from compound.evaluation import Evaluation
    from compound.network import Network
    from compound.training import Recipe, Setup
    from compound.verbs.train import Trained


@with_training
def train(
    network: NetworkName,
    data: Data,
    training: TrainingOptions,
    resolution: Annotated[
        int | None, typer.Option("--resolution", "--imgsz", min=1, help="Pixels, instead of the network's.")
    ] = None,
    json: Json = False,
) -> None:
    """Train a network and evaluate it once on the test images."""
    in_order("train", network, data)
    found = find_network(network)
    if resolution:
        found = found.with_(resolution=resolution)
    images, recipe = training.opened(data, found)
    if training.estimate:
        return answer_estimate(found, images, recipe, training.setup(not json), training.folds, json)
    trained = verb.train(
        found, images, recipe, training.out,
        setup=training.setup(not json), folds=folds_of(training.folds, training.group), say=note,
    )  # fmt: skip
    only_first()
    return answer(json, trained.to_json(), result_text(trained))


def answer_estimate(
    network: "Network", images: "DataSet", recipe: "Recipe", setup: "Setup", folds: int | None, json: bool
) -> None:
    """What the training will take, instead of it."""
    from compound.verbs.estimate import estimate

    found = estimate(network, images, recipe, setup, folds)
    answer(json, found.to_json(), str(found))


def only_first() -> None:
    """End all processes but the first, which has the same result and says it."""
    from compound.parallel import is_first

    if not is_first():
        raise typer.Exit


def result_text(trained: "Trained", report: Path | None = None) -> str:
    """How good it is, where everything lies, and what to type next."""
    run, report = trained.run, report or trained.report
    place = shlex.quote(str(run.path))
    lines = [evaluation_text(trained.result, trained.part), *([trained.folded.text()] if trained.folded else [])]
    lines += [f"run directory {run.path}; weights {run.weights}", *([f"report {report}"] if report else [])]
    following = [f"predict {place} PHOTO", f"explain {place} PHOTO", f"export {place} --to auto", f"serve {place}"]
    following = following if report else [f"report {place}", *following]
    lines += [f"{'' if number else 'next:':5} compound {words}" for number, words in enumerate(following)]
    return "\n".join(lines)


def evaluation_text(result: "Evaluation", part: str = "test") -> str:
    """The accuracy in one line, and what could not be read."""
    from compound.evaluation import SeveralLabels

    low, high = result.interval()
    lines, by_class = [], ""
    top5 = f"top-5 {result.top(5):.2%}, " if len(result.classes) > 5 else ""  # of fewer it is 100 %
    if not isinstance(result, SeveralLabels):
        if f"{result.mean_per_class:.2%}" != f"{result.top(1):.2%}":  # of equal classes it is the same
            by_class = f"mean per class {result.mean_per_class:.2%}, "
    elif result.mean_average_precision is not None:
        lines = [
            f"mean average precision {result.mean_average_precision:.2%}; below, top-k: one of its labels is there"
        ]
    lines += [
        f"{part} top-1 {result.top(1):.2%} (95 % interval {low:.2%} to {high:.2%}), {by_class}"
        f"{top5}loss {result.loss:.4f}, {result.images:,} images"
    ]
    lines += [f"unreadable: {path}: {reason}" for path, reason in result.damaged]
    return "\n".join(lines)
