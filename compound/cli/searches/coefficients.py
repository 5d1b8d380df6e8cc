"""`compound search coefficients`: α, β, γ for one's own baseline and data, into a rule file."""

from typing import Annotated

import typer

from compound.cli.answers import Json, answer, note
from compound.cli.options import with_options
from compound.cli.options.training import (
    ANYWHERE,
    BatchSize,
    Data,
    Devices,
    Rate,
    RecipeName,
    TrainingOptions,
    one_table,
    which_devices,
)
from compound.cli.searches.answers import coefficients_text
from compound.cli.searches.estimates import coefficients_estimate
from compound.cli.searches.options import MOST_SEEDS, Prune, SamplerName, SearchOptions, SearchSeed, SearchWorkers
from compound.errors import UsageError
from compound.verbs import coefficients as verb

Trials = Annotated[
    int | None, typer.Option(min=1, help=f"Configurations; default all, at most {verb.MOST_TRIALS}. More go on.")
]
Seeds = Annotated[int, typer.Option(min=1, max=MOST_SEEDS, help="Trainings a candidate, each with a seed of its own.")]


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
    epochs: Annotated[int | None, typer.Option(help=f"Epochs a training; default {verb.EPOCHS}.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Minutes a training, instead of epochs.")] = None,
    batch: BatchSize = None,
    rate: Rate = None,
    holdout: Annotated[float, typer.Option(help="Share of the training images to choose by.")] = 0.2,
    workers: SearchWorkers = None,
    seed: SearchSeed = 0,
    *,
    options: SearchOptions,
    search_cost: Annotated[
        bool, typer.Option("--search-cost", "--estimate", help="Estimate time and compute, and stop.")
    ] = False,
    device: Devices = ANYWHERE,
    json: Json = False,
) -> None:
    """Find α, β, γ (STEP 1 of the paper's Section 3.3) by training candidates of about equal cost."""
    where, tables = which_devices(device)
    table = one_table(tables)
    training = TrainingOptions(
        recipe=recipe, epochs=verb.EPOCHS if epochs is None else epochs, minutes=minutes, batch=batch, rate=rate
    ).find_recipe()  # fmt: skip
    asked = verb.CoefficientSearch(
        phi, factor_of(target_cost), cost, tolerance, table, step, sampler, trials, seeds, prune, seed
    )  # fmt: skip
    spec = options.spec(data, holdout, seed)
    sharing = options.sharing(workers, where, not json)
    if search_cost:
        prepared = verb.prepare(baseline, spec, training, asked, sharing, note)
        return answer(json, *coefficients_estimate(prepared))
    found = verb.search_coefficients(
        baseline, spec, training, options.out, asked=asked, sharing=sharing, say=note
    )  # fmt: skip
    return answer(json, found.to_json(), coefficients_text(found))


def factor_of(text: str | None) -> float | None:
    try:
        return float(text.lower().rstrip("x×")) if text else None
    except ValueError:
        raise UsageError(f"--target-cost {text!r} is not a multiple; write e.g. 2x") from None
