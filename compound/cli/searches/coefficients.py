"""`compound search coefficients`: α, β, γ for one's own baseline and data, into a rule file."""

from typing import TYPE_CHECKING, Annotated

import typer

from compound.cli.common import Json, answer, note
from compound.cli.options import with_options
from compound.cli.searches.answers import write_coefficients
from compound.cli.searches.estimates import coefficients_estimate
from compound.cli.searches.options import (
    Prune,
    SamplerName,
    SearchOptions,
    SearchSeed,
    SearchWorkers,
    comparable,
    median_pruner,
    share_cores,
)
from compound.cli.searches.run import carry_out
from compound.cli.training import BatchSize, Data, Devices, Rate, RecipeName, TrainingOptions, which_devices
from compound.errors import UsageError
from compound.files import make_folder
from compound.verbs.given import find_network

if TYPE_CHECKING:
    from compound.search.coefficients import Target
    from compound.search.spending import DeviceLatency

MOST_TRIALS = 24  # where none are asked for
EPOCHS = 6

Trials = Annotated[
    int | None, typer.Option(min=1, help=f"Configurations; default all, at most {MOST_TRIALS}. More go on.")
]
Seeds = Annotated[int, typer.Option(min=1, help="Trainings a candidate, each with a seed of its own.")]


@with_options(SearchOptions)
def coefficients(
    baseline: Annotated[str, typer.Argument(metavar="BASELINE", help="The network to scale: a name or a YAML file.")],
    data: Data,
    phi: Annotated[float, typer.Option(help="The φ at which candidates are made.")] = 1.0,
    target_cost: Annotated[str | None, typer.Option(help="Times the baseline's cost; default 2^φ, e.g. 2x.")] = None,
    cost: Annotated[
        str, typer.Option(help="Held to the target: macs, params, activations, memory, theory, latency.")
    ] = "macs",
    tolerance: Annotated[float, typer.Option(help="Share by which a candidate may miss the target.")] = 0.05,
    step: Annotated[float, typer.Option(help="Step of the grid of α, β, γ.")] = 0.05,
    sampler: SamplerName = "grid",
    trials: Trials = None,
    seeds: Seeds = 2,
    prune: Prune = False,
    recipe: RecipeName = "small",
    epochs: Annotated[int | None, typer.Option(help=f"Epochs a training; default {EPOCHS}.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Minutes a training, instead of epochs.")] = None,
    batch: BatchSize = None,
    rate: Rate = None,
    holdout: Annotated[float, typer.Option(help="Share of the training images to choose by.")] = 0.2,
    workers: SearchWorkers = None,
    seed: SearchSeed = 0,
    *,
    options: SearchOptions,
    search_cost: Annotated[bool, typer.Option("--search-cost", help="Estimate time and compute, and stop.")] = False,
    device: Devices = ("auto",),  # type: ignore[assignment]
    json: Json = False,
) -> None:
    """Find α, β, γ (STEP 1 of the paper's Section 3.3) by training candidates of about equal cost."""
    from compound.search.coefficients import CoefficientProblem
    from compound.search.spending import device_latency
    from compound.search.training import ShortTraining, opened
    from compound.trials import find_strategy

    strategy = find_strategy(sampler)
    where, table = which_devices(device)
    found = find_network(baseline)
    training = TrainingOptions(recipe=recipe, epochs=epochs or EPOCHS, minutes=minutes, batch=batch, rate=rate)
    crew, execution = share_cores(workers, where)
    spec = options.spec(data, holdout, seed)
    evaluator = ShortTraining(spec, comparable(training.find_recipe()), execution)
    images = opened(spec)
    network, measure = found.for_data(images), device_latency(cost, table)
    problem = CoefficientProblem(
        network,
        evaluator,
        phi=phi,
        target=_target(target_cost, phi, cost, tolerance, measure),
        space="grid" if strategy.sampler is None else "shares",
        step=step,
        seeds=seeds,
    )
    count = min(trials or MOST_TRIALS, len(problem.candidates))
    if trials and trials > count:
        note(f"there are {count} candidates, fewer than --trials {trials}: all of them are tried")
    if search_cost:
        return answer(json, *coefficients_estimate(problem, evaluator, count, crew))
    out = make_folder(options.folder("coefficients", network.name, images.name))
    search = options.search(problem, out / "search.journal", count, strategy, seed, median_pruner(prune))
    entries = carry_out(search, crew, json)
    return answer(json, *write_coefficients(search, problem, entries, images.name, out))


def _target(text: str | None, phi: float, measure: str, tolerance: float, own: "DeviceLatency | None") -> "Target":
    from compound.search.coefficients import Target

    try:
        factor = float(text.lower().rstrip("x×")) if text else 2.0**phi
    except ValueError:
        raise UsageError(f"--target-cost {text!r} is not a multiple; write e.g. 2x") from None
    return Target(factor, tolerance, measure, own)
