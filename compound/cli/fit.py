"""`compound fit`: the whole way from images and a budget to a trained network and a report."""

from dataclasses import replace
from typing import Annotated

import typer

from compound.cli.answers import Json, answer, note
from compound.cli.options.networks import is_network
from compound.cli.options.training import (
    ANYWHERE,
    Data,
    Devices,
    TrainingOptions,
    folds_of,
    which_devices,
    with_training,
)
from compound.cli.plan import Activations, Fill, Latency, Macs, Memory, Params, TrainingMemory, budget_of
from compound.cli.train import answer_estimate, only_first, result_text
from compound.errors import UsageError
from compound.verbs import fit as verb
from compound.verbs.early import refuse_early_fit

FitRule = Annotated[
    str | None,
    typer.Option(
        help="How the baseline is scaled, as for plan; default compound, with --weights resolution as far as it goes."
    ),
]


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
    rule: FitRule = None,
    fill: Fill = False,
    device: Devices = ANYWHERE,
    json: Json = False,
) -> None:
    """Plan within a budget, train, evaluate, predict on samples and write report.html."""
    if is_network(data):
        raise UsageError(f"{data!r} is a network, not data; use: compound fit DATA --baseline {data}")
    limits = {
        "macs": macs,
        "params": params,
        "activations": activations,
        "memory": memory,
        "training_memory": training_memory,
        "latency": latency,
    }
    where, tables = which_devices(device)
    budget = budget_of(1, tables, **limits) if tables or any(limits.values()) else None
    training = replace(training, device=where)
    refuse_early_fit(training.setup(progress=False), baseline, rule)
    folds = folds_of(training.folds, training.group)
    images, recipe = training.opened(data)
    setup = training.setup(not json)
    if training.estimate:
        ready = verb.prepare(images, budget, recipe, baseline=baseline, rule=rule, fill=fill, setup=setup, say=note)
        return answer_estimate(ready.network, ready.images, ready.recipe, ready.setup, training.folds, json)
    fitted = verb.fit(
        images, budget, recipe, training.out,
        baseline=baseline, rule=rule, fill=fill, setup=setup, folds=folds, say=note,
    )  # fmt: skip
    only_first()
    return answer(json, fitted.to_json(), result_text(fitted.trained, fitted.report))
