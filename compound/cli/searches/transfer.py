"""`compound search transfer`: rate and weight decay of a fine-tuning, by validation; the best tested once."""

from typing import Annotated

import typer

from compound.cli.answers import Json, answer, note
from compound.cli.options import with_options
from compound.cli.options.execution import Device
from compound.cli.options.networks import NetworkName
from compound.cli.options.training import Data, TrainingOptions
from compound.cli.searches.answers import transfer_text
from compound.cli.searches.estimates import transfer_estimate
from compound.cli.searches.options import Prune, SamplerName, SearchOptions, SearchSeed, SearchWorkers
from compound.verbs import transfer as verb

MOST_PLACES = 100  # of one axis of the grid
WeightsName = Annotated[
    str, typer.Option(help="What is fine-tuned: a run, a file, a published name (torchvision/resnet50), or auto.")
]
Rates = Annotated[int, typer.Option(min=1, max=MOST_PLACES, help="Peak rates from 1e-4 to 1e-1, per 256 images.")]
Decays = Annotated[int, typer.Option(min=1, max=MOST_PLACES, help="Weight decays: none, and others from 1e-6 to 1e-3.")]
Steps = Annotated[int, typer.Option(min=1, help="Steps of a training, rounded to whole epochs.")]
Batch = Annotated[int, typer.Option(min=2, help="Images a step.")]
RecipeName = Annotated[str, typer.Option("--recipe", help="All but rate, decay, steps and batch: a preset or a file.")]
Trials = Annotated[int | None, typer.Option(min=1, help="Places of the grid to try; default all. More go on.")]
Part = Annotated[str | None, typer.Option("--train", help="What learns: all, head, or last:K stages.")]
Norm = Annotated[str | None, typer.Option(help="Batch norm in what learns: train, eval or frozen.")]
DepthDecay = Annotated[float | None, typer.Option(help="Each part's rate as a share of that of the part above it.")]
Unfreeze = Annotated[float | None, typer.Option(help="Epochs after which each next part joins in.")]
ProbeFirst = Annotated[bool, typer.Option("--probe-first", help="Start from the best linear classifier.")]
Holdout = Annotated[float, typer.Option(help="Share of the training images to choose by, where the data has none.")]
SearchCost = Annotated[bool, typer.Option("--search-cost", "--estimate", help="Estimate the time, and stop.")]


@with_options(SearchOptions)
def transfer(
    network: NetworkName,
    data: Data,
    weights: WeightsName,
    rates: Rates = 7,
    decays: Decays = 8,
    steps: Steps = 20_000,
    batch: Batch = 256,
    recipe: RecipeName = "kornblith",
    train: Part = None,
    norm: Norm = None,
    depth_decay: DepthDecay = None,
    unfreeze: Unfreeze = None,
    probe_first: ProbeFirst = False,
    sampler: SamplerName = "grid",
    trials: Trials = None,
    prune: Prune = False,
    holdout: Holdout = 0.2,
    workers: SearchWorkers = None,
    seed: SearchSeed = 0,
    *,
    options: SearchOptions,
    search_cost: SearchCost = False,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Fine-tune by the protocol of Kornblith et al. 2019: a grid on held-out images, the best retrained on all."""
    training = TrainingOptions(
        recipe=recipe, train=train, norm=norm, depth_decay=depth_decay, unfreeze=unfreeze, probe_first=probe_first
    ).find_recipe()  # fmt: skip
    asked = verb.TransferSearch(rates, decays, steps, batch, sampler, trials, prune, seed)
    spec, sharing = options.spec(data, holdout, seed), options.sharing(workers, device, not json)
    if search_cost:
        prepared = verb.prepare(network, spec, weights, training, asked, sharing, note)
        return answer(json, *transfer_estimate(prepared))
    found = verb.search_transfer(
        network, spec, weights, training, options.out, asked=asked, sharing=sharing, say=note
    )  # fmt: skip
    if found.end:
        note(f"warning: the chosen rate is the {found.end} of the grid; a better one may lie beyond")
    return answer(json, found.to_json(), transfer_text(found))
