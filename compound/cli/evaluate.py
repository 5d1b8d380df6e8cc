"""`compound evaluate`: a trained network on the test images of a data set."""

from typing import Annotated

import typer

from compound.cli.common import Json, answer, find_network
from compound.cli.train import evaluation_text
from compound.cli.training import DamagedLimit, Device, Download, Root, Workers
from compound.errors import UsageError

Model = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="A run directory, a .safetensors file, or a network's name with --weights."),
]
ForeignWeights = Annotated[
    str | None, typer.Option("--weights", help="For NETWORK: another library's .pth file, or a published name.")
]


def evaluate(
    model: Model,
    data: Annotated[str | None, typer.Argument(metavar="[DATA]", help="Default: what the run was trained on.")] = None,
    weights: ForeignWeights = None,
    batch: Annotated[int, typer.Option(min=1, help="Images at once.")] = 128,
    workers: Workers = None,
    device: Device = "auto",
    damaged_limit: DamagedLimit = 0.01,
    root: Root = None,
    download: Download = False,
    json: Json = False,
) -> None:
    """Evaluate a trained network on test images: top-1 with its interval, top-5, loss, per class, confusion."""
    from compound.data import open_data
    from compound.deploy import load_predictor
    from compound.train import default_workers, open_run
    from compound.train import evaluate as run_evaluation

    seed = 0
    if data is None:
        run = open_run(model)
        data, seed = str(run.data["spec"]), run.seed
    net, described = load_predictor(weights or model, find_network(model) if weights else None)
    images = open_data(data, channels=described.channels, seed=seed, root=root, download=download)
    if images.classes != described.classes:
        raise UsageError(
            f"{images.name} has classes {', '.join(images.classes[:5])} … ({len(images.classes)}) and {model} knows "
            f"{', '.join(described.classes[:5])} … ({len(described.classes)}); evaluate on data with the same classes"
        )
    workers = default_workers(images) if workers is None else workers
    result = run_evaluation(
        net, images.test, images.classes, batch=batch, workers=workers, device=device, damaged_limit=damaged_limit
    )
    summary = result.summary()
    lines = [evaluation_text(result), *(f"{share:>8.1%}  {name}" for name, share in summary["per_class"].items())]
    answer(json, {"model": model, "data": images.name} | summary, "\n".join(lines))
