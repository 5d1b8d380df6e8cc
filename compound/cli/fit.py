"""`compound fit`: the whole way from images and a budget to a trained network and a report."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compound.budget import Budget, Plan
from compound.cli.common import Json, RuleName, answer, note
from compound.cli.plan import (
    Activations,
    Fill,
    Latency,
    Macs,
    Memory,
    Params,
    TrainingMemory,
    budget_of,
    plan_text,
)
from compound.cli.train import result_fields, result_text
from compound.cli.training import Data, Devices, TrainingOptions, which_devices, with_training
from compound.cost import cost, cost_fields
from compound.errors import UsageError
from compound.files import write_json
from compound.network import Network
from compound.notation import dump_network
from compound.verbs.given import find_network
from compound.verbs.plan import plan as make_plan

if TYPE_CHECKING:
    from compound.data import DataSet
    from compound.evaluation import Evaluation
    from compound.training import Run

SMALL_IMAGES = 64  # px; up to here the small-image baseline is the default


@with_training
def fit(
    data: Data,
    training: TrainingOptions,
    baseline: Annotated[str | None, typer.Option(help="Network to scale; default by the size of the images.")] = None,
    macs: Macs = None,
    params: Params = None,
    activations: Activations = None,
    memory: Memory = None,
    training_memory: TrainingMemory = None,
    latency: Latency = None,
    rule: RuleName = "compound",
    fill: Fill = False,
    device: Devices = ("auto",),  # type: ignore[assignment]
    json: Json = False,
) -> None:
    """Plan within a budget, train, evaluate, predict on samples and write report.html."""
    if training.final is False:
        raise UsageError("--no-final leaves the test images alone, and the report shows some; use compound train")
    images = training.open_data(data)
    if images.channels not in (1, 3):
        raise UsageError(
            f"{images.name} has {images.channels} channels, and the report shows pictures of 1 or 3; use compound train"
        )
    if images.several:
        raise UsageError(
            f"{images.name} has several labels an image, and the report is made for one; use compound train"
        )
    start = (find_network(baseline) if baseline else default_baseline(images)).for_data(images)
    recipe = training.find_recipe()
    limits = {
        "macs": macs,
        "params": params,
        "activations": activations,
        "memory": memory,
        "training_memory": training_memory,
        "latency": latency,
    }
    where, table = which_devices(device)
    plan = None
    training = replace(training, device=where)
    if training.weights == "auto" and not baseline:
        start = published(budget_of(recipe.batch, table, **limits) if any(limits.values()) else None, images)
    elif table or any(limits.values()):
        budget = budget_of(recipe.batch, table, **limits)
        plan = make_plan(start, budget, rule, fill=fill, say=note)
    network = plan.network if plan else start
    if not json:
        note(plan_text(plan) if plan else network.table())
    out = training.out or Path("runs") / f"{start.name}-{images.name}".replace(" ", "-")
    run, result = training.run(network, images, recipe, out, quiet=json)
    write_plan(run, start, plan, rule)
    write_predictions(run, images, result)
    report = write_report(run)
    answer(json, result_fields(run, result) | {"report": str(report)}, f"{result_text(run, result)}\nreport {report}")


def published(budget: Budget | None, images: "DataSet") -> Network:
    """The network of the best published weights that are within `budget` on `images`."""
    from compound.nn import best_published, load_weights

    return load_weights(best_published(budget, data=images))[1].network.for_data(images)


def default_baseline(images: "DataSet") -> Network:
    """The small-image baseline where images are small, EfficientNet-B0 otherwise."""
    _, height, width = images.test.load(0).shape
    return find_network("efficientnet-mini" if max(height, width) <= SMALL_IMAGES else "efficientnet-b0")


def write_plan(run: "Run", baseline: Network, plan: Plan | None, rule: str) -> None:
    """plan.json: where the network came from."""
    counted = cost(baseline)
    start = cost_fields(baseline, counted) | {"network": dump_network(baseline)}
    value = {"baseline": start, "rule": rule, "plan": plan.to_json() if plan else None}
    write_json(run.path / "plan.json", value)


def write_predictions(run: "Run", images: "DataSet", result: "Evaluation", mistakes: int = 8) -> None:
    """samples/ and predictions.json: files predicted as a user would, from the weights file alone."""
    from compound.deploy import predict, save_samples
    from compound.nn import load_weights

    wrong = result.most_confident_mistakes(mistakes)
    samples = save_samples(images.test, images.classes, run.path / "samples", mistakes=wrong, seed=run.seed)
    model, weights = load_weights(run.path)
    predictions, _ = predict(model, weights, [sample.path for sample in samples], top=3)
    value = [
        {"truth": sample.truth, "kind": sample.kind} | one.to_json() | {"path": f"samples/{sample.path.name}"}
        for sample, one in zip(samples, predictions, strict=True)
    ]
    write_json(run.path / "predictions.json", {"predictions": value})


def write_report(run: "Run") -> Path:
    from compound.report import write_run_report

    return write_run_report(run.path)
