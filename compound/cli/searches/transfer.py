"""`compound search transfer`: rate and weight decay of a fine-tuning, by validation; the best tested once."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compound.cli.common import Json, NetworkName, answer, note
from compound.cli.execution import Device
from compound.cli.options import with_options
from compound.cli.searches.answers import transfer_told
from compound.cli.searches.estimates import transfer_estimate
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
from compound.cli.searches.run import best_of, carry_out
from compound.cli.training import Data, TrainingOptions
from compound.files import make_folder, write_json
from compound.verbs.given import find_network

if TYPE_CHECKING:
    from compound.data import DataSet
    from compound.evaluation import Evaluation
    from compound.search.transfer import TransferProblem
    from compound.training import Recipe, Run
    from compound.trials import RankedTrial

WeightsName = Annotated[
    str, typer.Option(help="What is fine-tuned: a run, a file, a published name (torchvision/resnet50), or auto.")
]
Rates = Annotated[int, typer.Option(min=1, help="Peak rates from 1e-4 to 1e-1, per 256 images.")]
Decays = Annotated[int, typer.Option(min=1, help="Weight decays: none, and others from 1e-6 to 1e-3.")]
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
SearchCost = Annotated[bool, typer.Option("--search-cost", help="Estimate the time, and stop.")]


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
    from compound.search.training import FineTuned, ShortTraining, opened
    from compound.search.transfer import TransferProblem, chosen, epochs_of
    from compound.training import adopted
    from compound.training.doubts import doubts
    from compound.trials import find_strategy, write_leaderboard

    strategy = find_strategy(sampler)
    spec = options.spec(data, holdout, seed)
    images = opened(spec)
    found = adopted(find_network(network), weights).for_data(images)
    for doubt in doubts(weights, found, images):
        note(f"warning: {doubt}")
    training = TrainingOptions(
        recipe=recipe, train=train, norm=norm, depth_decay=depth_decay, unfreeze=unfreeze, probe_first=probe_first
    )
    step = min(batch, len(images.train))
    one = comparable(
        replace(training.find_recipe(), batch=step, epochs=epochs_of(steps, step, len(images.train)), find=())
    )
    crew, execution = share_cores(workers, device)
    evaluator = ShortTraining(spec, one, execution, weights)
    problem = TransferProblem(found, FineTuned(evaluator), rates, decays)
    count = min(trials or rates * decays, rates * decays)
    if search_cost:
        return answer(json, *transfer_estimate(problem, evaluator, count, crew))
    out = make_folder(options.folder("transfer", found.name, images.name))
    search = options.search(problem, out / "search.journal", count, strategy, seed, median_pruner(prune))
    entries = carry_out(search, crew, json)
    write_leaderboard(entries, out, ["accuracy"])
    best = chosen(entries) or best_of(entries, out)
    everything = images.without_holdout()
    again = replace(one, epochs=epochs_of(steps, step, len(everything.train)))
    run, result = _retrain(problem, best, again, everything, weights, out, seed, device)
    value, text = transfer_told(problem, entries, best, run, result)
    write_json(out / "result.json", value)
    return answer(json, value, text)


def _retrain(
    problem: "TransferProblem",
    best: "RankedTrial",
    recipe: "Recipe",
    everything: "DataSet",
    weights: str,
    out: Path,
    seed: int,
    device: str,
) -> "tuple[Run, Evaluation]":
    """Train with the chosen rate and decay on all but the test images, and test once."""
    from compound.execution import Execution
    from compound.search.transfer import weights_of
    from compound.training import Start, start_run, train

    rate, decay = weights_of(best.parameters)
    recipe = replace(recipe, rate=rate, weight_decay=decay)
    folder = out / f"rate-{rate:.4g}-decay-{best.parameters['decay']:.4g}"
    resumed = (folder / "run.yaml").exists()
    execution = Execution(device)
    run = start_run(problem.network, everything, recipe, folder, execution, seed=seed, resume=resumed)
    return train(run, everything, start=Start(weights), execution=execution, quiet=True)
