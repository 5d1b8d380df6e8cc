"""`compound evaluate`: a trained network on the test images of a data set."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compound.cli.calibration import keep_calibration, run_calibration
from compound.cli.common import Json, answer, note
from compound.cli.evaluated import result_fields, sweep_fields
from compound.cli.execution import ExecutionOptions, with_execution
from compound.cli.training import Download, Root
from compound.errors import UsageError
from compound.files import ending
from compound.verbs.given import find_network

if TYPE_CHECKING:
    from compound.data import DataSet, DataSpec, Source
    from compound.nn import Weights

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
    from compound.evaluation import LAYOUTS, open_layout, write_predictions
    from compound.evaluation import evaluate as run_evaluation
    from compound.evaluation.figures import FORMATS, reliability_diagram, save_figure
    from compound.nn import load_weights
    from compound.training import open_run
    from compound.training.final import finish

    sizes = parse_resolutions(resolutions)
    if final and (data or weights or layout or sizes):
        raise UsageError("--final is of a run, its own test images and its own resolution; leave all other out")
    refuse_mixtures(data, weights, calibrate, sizes, recalibrate, layout, labels)
    if reliability:
        ending(reliability, FORMATS, "picture")
    given = data_of(model, data, final, again)
    net, described = load_weights(weights or model, find_network(model) if weights else None, several=True)
    if described.several:
        asked: dict[str, Any] = {"--calibrate": calibrate, "--reliability": reliability, "--predictions": predictions}
        asked |= {"--resolutions": sizes, "--layout": layout}
        refuse_single(model, asked)
    images: DataSet | None = None
    source: Source
    if layout:
        labelled = open_layout(layout, Path(given.where), described.classes, described.channels, labels)
        source, name = labelled.source, layout
        if len(source) != LAYOUTS[layout]:
            note(f"warning: {layout} has {LAYOUTS[layout]:,} images to judge and {data} has {len(source):,}")
    else:
        images = open_test(model, given, described, root, download)
        source, name = images.test, images.name
    execution = running.execution()
    temperature = run_calibration(net, images, execution) if calibrate and images else None
    result = run_evaluation(net, source, described.classes, execution)
    if layout:
        result = labelled.judge(result)
    fields, lines = result_fields(result, temperature)
    if final:
        finish(open_run(model), result)
    if temperature and images:
        keep_calibration(Path(model), net, described, temperature, fields, own=data is None)
    if sizes and images:
        swept = sweep_fields(net, images, sizes, recalibrate, execution)
        fields["resolutions"] = swept
        told = ", batch norms recalibrated" if recalibrate else ""
        lines += [f"{one['top1']:>8.2%}  at {one['resolution']} px{told}, loss {one['loss']:.4f}" for one in swept]
    if predictions:
        write_predictions(result, source, predictions)
    if reliability:
        save_figure(reliability_diagram(result, f"{net.network.name} on {name}"), reliability)
    answer(json, {"model": model, "data": name} | fields, "\n".join(lines))


def refuse_single(model: str, asked: dict[str, Any]) -> None:
    """What is made for one label an image."""
    for option, value in asked.items():
        if value:
            raise UsageError(f"{option} needs one label an image, and {model} knows several; leave it out")


def parse_resolutions(text: str | None) -> list[int]:
    try:
        sizes = [int(word) for word in text.split(",")] if text else []
    except ValueError:
        sizes = [0]
    if any(size < 1 for size in sizes):
        raise UsageError(f"--resolutions {text!r} is not a list of pixels; use e.g. 224,256,288")
    return sizes


def refuse_mixtures(
    data: str | None,
    weights: str | None,
    calibrate: bool,
    sizes: list[int],
    recalibrate: bool,
    layout: str | None,
    labels: Path | None,
) -> None:
    """Options that say nothing together."""
    if recalibrate and not sizes:
        raise UsageError("--recalibrate belongs to --resolutions; name them, such as --resolutions 224,256")
    if calibrate and weights:
        raise UsageError(f"--calibrate keeps the temperature in our own weights file, and {weights} is another's")
    if layout and (calibrate or sizes):
        raise UsageError("a --layout has test images alone; --calibrate and --resolutions need a data set or a run")
    if layout and data is None:
        raise UsageError(f"--layout {layout} says how a folder is laid out; give the folder as DATA")
    if labels and not layout:
        raise UsageError("--labels belongs to --layout imagenet-real")


def data_of(model: str, data: str | None, final: bool = False, again: bool = False) -> "DataSpec":
    """The data that is named, or what the run was trained on, divided as then.

    Test images that a run keeps for its `final` evaluation are refused, and after it, unless they are wanted `again`.
    """
    from compound.data import DataSpec
    from compound.training import open_run
    from compound.training.final import is_final, refuse_second, refuse_unseen

    if data is not None:
        return DataSpec(data)
    run = open_run(model)
    if not again and (final or is_final(run)):
        refuse_second(run)
    elif not final:
        refuse_unseen(run)
    return run.spec


def open_test(model: str, spec: "DataSpec", described: "Weights", root: Path | None, download: bool) -> "DataSet":
    """The data set of `data_of`; its classes must be those that the network knows."""
    root, download = root or spec.root, download or spec.download
    images = replace(spec, channels=described.channels, root=root, download=download).open()
    if images.several != described.several:
        kinds = ("one label", "several labels")
        raise UsageError(
            f"{images.name} has {kinds[images.several]} an image and {model} knows {kinds[described.several]}; "
            "evaluate on data like that of its training"
        )
    if images.classes != described.classes:
        raise UsageError(
            f"{images.name} has classes {', '.join(images.classes[:5])} … ({len(images.classes)}) and {model} knows "
            f"{', '.join(described.classes[:5])} … ({len(described.classes)}); evaluate on data with the same classes"
        )
    return images
