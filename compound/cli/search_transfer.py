"""`compound search transfer`: rate and weight decay of a fine-tuning, by validation; the best tested once."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compound.cli.common import Json, NetworkName, answer, find_network, note
from compound.cli.searching import (
    Lease,
    Prune,
    SamplerName,
    SearchOut,
    SearchSeed,
    SearchWorkers,
    Storage,
    StudyName,
    Timeout,
    best_of,
    carry_out,
    cores,
    default_workers,
    open_search,
)
from compound.cli.train import evaluation_text
from compound.cli.training import Data, Device, Download, ImageChannels, Root, TrainingOptions
from compound.files import make_folder, write_json

if TYPE_CHECKING:
    from compound.data import DataSet
    from compound.evaluation import Evaluation
    from compound.search.engine import Search
    from compound.search.leaderboard import Entry
    from compound.search.training import ShortTraining
    from compound.search.transfer import TransferProblem
    from compound.train import Recipe, Run

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
    channels: ImageChannels = None,
    workers: SearchWorkers = None,
    seed: SearchSeed = 0,
    storage: Storage = None,
    study: StudyName = None,
    timeout: Timeout = None,
    lease: Lease = 60.0,
    out: SearchOut = None,
    search_cost: SearchCost = False,
    device: Device = "auto",
    root: Root = None,
    download: Download = False,
    json: Json = False,
) -> None:
    """Fine-tune by the protocol of Kornblith et al. 2019: a grid on held-out images, the best retrained on all."""
    from dataclasses import replace

    from compound.search.proposals import find_strategy
    from compound.search.training import FineTuned, Images, ShortTraining
    from compound.search.transfer import TransferProblem, epochs_of
    from compound.train import adopted
    from compound.train.setups import doubts

    strategy = find_strategy(sampler)
    images = Images(data, holdout, channels, seed, root, download)
    opened = images.open()
    found = adopted(find_network(network), weights)
    for doubt in doubts(weights, found, opened):
        note(f"warning: {doubt}")
    options = TrainingOptions(
        recipe=recipe, train=train, norm=norm, depth_decay=depth_decay, unfreeze=unfreeze, probe_first=probe_first
    )
    step = min(batch, len(opened.train))
    chosen = replace(options.find_recipe(), batch=step, epochs=epochs_of(steps, step, len(opened.train)), find=())
    if chosen.precision == "auto":  # what a machine measures must not decide between candidates
        chosen = replace(chosen, precision="fp32")
    crew = workers or default_workers(device)
    training = ShortTraining(images, chosen, max(cores() // crew, 1), device, weights=weights)
    problem = TransferProblem(found, FineTuned(training), rates, decays)
    count = min(trials or rates * decays, rates * decays)
    if search_cost:
        return answer(json, *_estimate(problem, training, count, crew))
    out = make_folder(out or Path("runs") / f"transfer-{found.name}-{opened.name}".replace(" ", "-"))
    search = open_search(
        problem, storage or str(out / "search.journal"), count, strategy, seed, study, prune, timeout, lease
    )
    carry_out(search, crew, json)
    entries, best = _found(search, problem, out)
    everything = opened.without_holdout()
    again = replace(chosen, epochs=epochs_of(steps, step, len(everything.train)))
    run, result = _retrain(problem, best, again, everything, data, weights, out, seed, device)
    value, text = _told(problem, entries, best, run, result)
    write_json(out / "result.json", value)
    return answer(json, value, text)


def _estimate(
    problem: "TransferProblem", training: "ShortTraining", trials: int, workers: int
) -> tuple[dict[str, Any], str]:
    """Time by a few measured steps; the last training, on all images, is one more."""
    each = training.seconds(problem.network)
    seconds = each * (trials / min(workers, trials) + 1)
    value = {"trials": trials, "workers": workers, "epochs": training.recipe.epochs}
    value |= {"seconds_a_training": round(each, 1), "seconds": round(seconds)}
    return value, (
        f"{trials} fine-tunings of {training.recipe.epochs:,} epochs, about {each:,.0f} s each; with {workers} workers "
        f"and the last one {seconds / 60:,.0f} minutes (by measured steps; side by side they may be slower)"
    )


def _found(search: "Search", problem: "TransferProblem", out: Path) -> "tuple[list[Entry], Entry]":
    """All trials, written as a leaderboard, and the chosen one."""
    import optuna

    from compound.search.leaderboard import leaderboard, write_leaderboard
    from compound.search.transfer import chosen

    study = optuna.load_study(study_name=search.name, storage=search.open())
    entries = leaderboard(study.get_trials(deepcopy=False), problem.directions)
    write_leaderboard(entries, out, ["accuracy"])
    return entries, chosen(entries) or best_of(entries, out)


def _retrain(
    problem: "TransferProblem",
    best: "Entry",
    recipe: "Recipe",
    everything: "DataSet",
    spec: str,
    weights: str,
    out: Path,
    seed: int,
    device: str,
) -> "tuple[Run, Evaluation]":
    """Train with the chosen rate and decay on all but the test images, and test once."""
    from dataclasses import replace

    from compound.search.transfer import weights_of
    from compound.train import start_run, train

    rate, decay = weights_of(best.parameters)
    recipe = replace(recipe, rate=rate, weight_decay=decay)
    folder = out / f"rate-{rate:.4g}-decay-{best.parameters['decay']:.4g}"
    resumed = (folder / "run.yaml").exists()
    run = start_run(problem.network, everything, spec, recipe, folder, seed=seed, resume=resumed, device=device)
    return train(run, everything, weights=weights, device=device, quiet=True)


def _told(
    problem: "TransferProblem", entries: "list[Entry]", best: "Entry", run: "Run", result: "Evaluation"
) -> tuple[dict[str, Any], str]:
    from compound.search.transfer import at_an_end, grid

    accuracy = best.values[0] if best.values else None
    value = {
        **{state: sum(e.state == state for e in entries) for state in ("complete", "pruned", "failed")},
        "rate": run.recipe.rate,
        "weight_decay": run.recipe.weight_decay,
        "decay": best.parameters["decay"],
        "holdout": accuracy,
        "epochs": run.recipe.epochs,
        "batch": run.recipe.batch,
        "top1": result.top(1),
        "top1_interval": list(result.interval()),
        "images": result.images,
        "run": str(run.path),
    }
    end = at_an_end(problem, best)
    if end:
        note(f"warning: the chosen rate is the {end} of the grid; a better one may lie beyond")
    lines = [
        grid(problem, entries),
        f"rate {run.recipe.rate:.4g}, decay {value['decay']:.4g} (as a weight decay {run.recipe.weight_decay:.4g}): "
        f"{accuracy:.2%} of the held-out images",
        f"trained again on all {run.data['images']['train']:,} training images: {evaluation_text(result)}",
        f"run directory {run.path}; weights {run.weights}",
    ]
    return value, "\n".join(lines)
