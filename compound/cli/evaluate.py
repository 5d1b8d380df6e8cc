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
    from compound.evaluation.layouts import LabelledSet
    from compound.nn import Weights
    from compound.training.judging import Asked, Judged

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
    from compound.data import DataSpec
    from compound.evaluation import evaluate as run_evaluation
    from compound.evaluation import write_predictions
    from compound.evaluation.figures import FORMATS, reliability_diagram, save_figure
    from compound.nn import load_weights
    from compound.training import open_run
    from compound.training.final import finish
    from compound.training.judging import Asked

    sizes = parse_resolutions(resolutions)
    if final and (data or weights or layout or sizes):
        raise UsageError("--final is of a run, its own test images and its own resolution; leave all other out")
    refuse_mixtures(data, weights, calibrate, sizes, recalibrate, layout, labels)
    if reliability:
        ending(reliability, FORMATS, "picture")
    net, described = load_weights(weights or model, find_network(model) if weights else None, several=True)
    if described.several:
        options: dict[str, Any] = {"--calibrate": calibrate, "--reliability": reliability, "--predictions": predictions}
        options |= {"--resolutions": sizes, "--layout": layout}
        refuse_single(model, options)
    labelled = find_layout(layout, data, described, labels) if layout else None
    spec = DataSpec(data or "", described.channels, root=root, download=download)
    asked = Asked(spec, described.classes, described.several, calibrate or bool(sizes), final, again)
    judged = to_judge(weights or model, asked, labelled)
    images, source = judged.data, judged.source
    note(f"judged by {len(source):,} images: {judged.said}")
    execution = running.execution()
    temperature = run_calibration(net, images, execution) if calibrate and images else None
    result = run_evaluation(net, source, described.classes, execution)
    if labelled:
        result = labelled.judge(result, judged.rows)
    fields, lines = result_fields(result, temperature)
    if final:
        finish(open_run(model), result)
    if temperature and images:
        keep_calibration(Path(model), net, described, temperature, fields, judged.own)
    if sizes and images:
        swept = sweep_fields(net, images, sizes, recalibrate, execution)
        fields["resolutions"] = swept
        told = ", batch norms recalibrated" if recalibrate else ""
        lines += [f"{one['top1']:>8.2%}  at {one['resolution']} px{told}, loss {one['loss']:.4f}" for one in swept]
    if predictions:
        write_predictions(result, source, predictions)
    if reliability:
        save_figure(reliability_diagram(result, f"{net.network.name} on {judged.name}"), reliability)
    answer(json, {"model": model, "data": judged.name, "judged": judged.said} | fields, "\n".join(lines))


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


def find_layout(layout: str, data: str | None, described: "Weights", labels: Path | None) -> "LabelledSet":
    """The set in a published layout; it says where it is not whole."""
    from compound.evaluation import LAYOUTS, open_layout

    found = open_layout(layout, Path(str(data)), described.classes, described.channels, labels)
    if len(found.source) != LAYOUTS[layout]:
        note(f"warning: {layout} has {LAYOUTS[layout]:,} images to judge and {data} has {len(found.source):,}")
    return found


def to_judge(model: str, asked: "Asked", labelled: "LabelledSet | None" = None) -> "Judged":
    """The images that `model` is judged by: a labelled set, those asked for, or by default those of its run."""
    from compound.training import open_run
    from compound.training.judging import Judged, images_to_judge, run_of, unseen

    run = run_of(model)
    if labelled is not None:
        return unseen(Judged(labelled.name, labelled.source, "all of it"), run, asked)
    if not asked.spec.where:
        run = run or open_run(model)
        root, download = asked.spec.root or run.spec.root, asked.spec.download or run.spec.download
        asked = replace(asked, spec=replace(asked.spec, where=run.spec.where, root=root, download=download))
    return images_to_judge(asked, run)
