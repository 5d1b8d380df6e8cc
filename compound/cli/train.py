"""`compound train`: a network on a data set, into a run directory."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compound.cli.common import Json, NetworkName, answer, cost_fields, find_network, note
from compound.cost import cost
from compound.errors import UsageError

if TYPE_CHECKING:
    from compound.data import DataSet
    from compound.evaluation import Evaluation
    from compound.network import Network
    from compound.train import Recipe, Run

Data = Annotated[
    str,
    typer.Argument(metavar="DATA", help="fashion6k, a folder of class folders, a CSV, an idx folder, or e.g. cifar10."),
]
Out = Annotated[Path | None, typer.Option("-o", "--out", help="The run directory; default runs/NETWORK-DATA.")]
RecipeName = Annotated[str, typer.Option("--recipe", help="paper, transfer, small, or a YAML file.")]
Epochs = Annotated[int | None, typer.Option(help="Epochs, instead of the recipe's.")]
Minutes = Annotated[float | None, typer.Option(help="As many epochs as fit, by a short measurement.")]
BatchSize = Annotated[int | None, typer.Option(help="Images a step, instead of the recipe's.")]
Rate = Annotated[float | None, typer.Option(help="Peak learning rate per 256 images, instead of the recipe's.")]
Seed = Annotated[int, typer.Option(help="Seed of weights, order and augmentation.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")]
WeightsFile = Annotated[Path | None, typer.Option("--weights", help="Start from a run, a .safetensors or a .pth file.")]
Resolution = Annotated[int | None, typer.Option(min=1, help="Pixels, instead of the network's.")]
ImageChannels = Annotated[int | None, typer.Option("--channels", help="1 or 3; default what the images have.")]
Workers = Annotated[int | None, typer.Option(min=0, help="Processes that load images; default by the kind of data.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, …")]
DamagedLimit = Annotated[float, typer.Option(help="Share of unreadable images that stops the run.")]
Root = Annotated[Path | None, typer.Option(help="Where torchvision's data sets lie.")]
Download = Annotated[bool, typer.Option("--download", help="Let torchvision fetch the data set.")]


def train(
    network: NetworkName,
    data: Data,
    recipe: RecipeName = "small",
    out: Out = None,
    epochs: Epochs = None,
    minutes: Minutes = None,
    batch: BatchSize = None,
    rate: Rate = None,
    resolution: Resolution = None,
    channels: ImageChannels = None,
    weights: WeightsFile = None,
    seed: Seed = 0,
    resume: Resume = False,
    workers: Workers = None,
    device: Device = "auto",
    damaged_limit: DamagedLimit = 0.01,
    root: Root = None,
    download: Download = False,
    json: Json = False,
) -> None:
    """Train a network and evaluate it once on the test images."""
    from compound.data import open_data

    found = find_network(network)
    if resolution:
        found = found.with_(resolution=resolution)
    chosen = find_recipe(recipe, epochs, minutes, batch, rate)
    images = open_data(data, channels=channels, seed=seed, root=root, download=download)
    out = out or Path("runs") / f"{found.name}-{images.name}".replace(" ", "-")
    run, result = run_training(
        found, images, data, chosen, out,
        weights=weights, seed=seed, resume=resume, workers=workers, device=device,
        damaged_limit=damaged_limit, quiet=json,
    )  # fmt: skip
    answer(json, result_fields(run, result), result_text(run, result))


def find_recipe(
    name: str, epochs: int | None, minutes: float | None, batch: int | None, rate: float | None
) -> "Recipe":
    """A preset or a YAML file, with the options on top."""
    from dataclasses import replace

    from compound.train import RECIPES, load_recipe

    if name.endswith((".yaml", ".yml")):
        recipe = load_recipe(name)
    elif name in RECIPES:
        recipe = RECIPES[name]
    else:
        raise UsageError(f"there is no recipe {name!r}; use {', '.join(RECIPES)} or a YAML file")
    given = {"epochs": epochs, "minutes": minutes, "batch": batch, "rate": rate}
    return replace(recipe, **{field: value for field, value in given.items() if value is not None})  # type: ignore[arg-type]


def run_training(
    network: "Network",
    images: "DataSet",
    spec: str,
    recipe: "Recipe",
    out: Path,
    *,
    weights: Path | None,
    seed: int,
    resume: bool,
    workers: int | None,
    device: str,
    damaged_limit: float,
    quiet: bool,
) -> tuple["Run", "Evaluation"]:
    """Start or resume the run and train it to its end."""
    from compound.train import start_run, train

    for warning in network.warnings(images.channels):
        note(f"warning: {warning}")
    run = start_run(network, images, spec, recipe, out, seed=seed, resume=resume, workers=workers, device=device)
    counted = cost(network, len(images.classes), images.channels)
    if not quiet:
        note(
            f"{network.name}: {counted.params:,} parameters, {counted.macs:,} MACs at {network.resolution} px\n"
            f"{images.name}: {len(images.train):,} images to train, {len(images.holdout):,} held out, "
            f"{len(images.test):,} to test, {len(images.classes)} classes\n"
            f"{run.recipe.name} recipe, {run.recipe.epochs} epochs of {run.recipe.batch}-image steps -> {run.path}"
        )
    return train(run, images, weights=weights, workers=workers, device=device, damaged_limit=damaged_limit, quiet=quiet)


def result_fields(run: "Run", result: "Evaluation") -> dict[str, Any]:
    counted = cost(run.network, len(result.classes), run.data["channels"])
    summary = result.summary()
    return cost_fields(run.network, counted) | {
        "out": str(run.path),
        "weights": str(run.weights),
        "epochs": run.recipe.epochs,
        **{name: summary[name] for name in ("images", "top1", "top1_interval", "top5", "loss", "damaged")},
    }


def result_text(run: "Run", result: "Evaluation") -> str:
    return f"{evaluation_text(result)}\nrun directory {run.path}; weights {run.weights}"


def evaluation_text(result: "Evaluation") -> str:
    """The accuracy in one line, and what could not be read."""
    low, high = result.interval()
    lines = [
        f"test top-1 {result.top(1):.2%} (95 % interval {low:.2%} to {high:.2%}), "
        f"top-5 {result.top(5):.2%}, loss {result.loss:.4f}, {result.images:,} images"
    ]
    lines += [f"unreadable: {path}: {reason}" for path, reason in result.damaged]
    return "\n".join(lines)
