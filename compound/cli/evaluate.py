"""`compound evaluate`: a trained network on the test images of a data set."""

from pathlib import Path
from typing import Annotated

import typer

from compound.cli.common import Json, answer, in_order, note
from compound.cli.evaluated import evaluated_lines
from compound.cli.execution import ExecutionOptions, with_execution
from compound.cli.training import Download, Root
from compound.errors import UsageError
from compound.verbs import evaluate as verb
from compound.verbs.calibration import Fitting

Model = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="A run directory, a .safetensors file, or a network's name with --weights."),
]
DataDefault = Annotated[str | None, typer.Argument(metavar="[DATA]", help="Default: what the run was trained on.")]
ForeignWeights = Annotated[
    str | None, typer.Option("--weights", help="For NETWORK: another library's .pth file, or a published name.")
]


@with_execution
def evaluate(
    model: Model,
    data: DataDefault = None,
    weights: ForeignWeights = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Fit a temperature on the held-out images and keep it in the weights.")
    ] = False,
    unknown: Annotated[
        float | None,
        typer.Option(
            help="Choose on held-out images, and keep, when a photo is of no class: refusing wrongly this share, 0.05."
        ),
    ] = None,
    coverage: Annotated[
        float | None,
        typer.Option(help="Choose on held-out images, and keep, sets of classes with the right one so often, 0.9."),
    ] = None,
    reliability: Annotated[
        Path | None, typer.Option(help="Draw accuracy by confidence: a .svg, .png or .pdf file.")
    ] = None,
    predictions: Annotated[Path | None, typer.Option(help="Write a CSV file with a row an image.")] = None,
    final: Annotated[
        bool, typer.Option("--final", help="The one evaluation of a run that keeps its test images; written into it.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Look again at test images that were to be looked at once.")
    ] = False,
    resolutions: Annotated[str | None, typer.Option(help="Test at these too, such as 224,256,288.")] = None,
    recalibrate: Annotated[
        bool, typer.Option("--recalibrate", help="With --resolutions: batch norms re-estimated on training images.")
    ] = False,
    layout: Annotated[
        str | None, typer.Option(help="DATA is imagenet, imagenet-real, imagenet-v2, imagenet-a, -r or -sketch.")
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="The real.json of imagenet-real.")] = None,
    *,
    running: ExecutionOptions,
    root: Root = None,
    download: Download = False,
    json: Json = False,
) -> None:
    """Evaluate a trained network: top-1 with its intervals, top-5, loss, calibration, per class, confusion."""
    from compound.data import DataSpec

    if data is not None and not weights:
        in_order("evaluate", model, data)
    sizes = tuple(parse_resolutions(resolutions))
    given = DataSpec(data or "", root=root, download=download)
    found = verb.evaluate(
        model, given,
        weights=weights, judging=verb.Judging(final, again, layout, labels), sweep=verb.Sweep(sizes, recalibrate),
        calibrate=Fitting(calibrate, unknown, coverage), predictions=predictions, reliability=reliability,
        execution=running.execution(), say=note,
    )  # fmt: skip
    answer(json, found.to_json(), "\n".join(evaluated_lines(found)))


def parse_resolutions(text: str | None) -> list[int]:
    try:
        sizes = [int(word) for word in text.split(",")] if text else []
    except ValueError:
        sizes = [0]
    if any(size < 1 for size in sizes):
        raise UsageError(f"--resolutions {text!r} is not a list of pixels; use e.g. 224,256,288")
    return sizes
