"""`compound predict`: the classes of photos."""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from compound.cli.common import Json, answer, note
from compound.cli.evaluate import ForeignWeights, Model
from compound.cli.execution import Device
from compound.cli.predicted import best_above, prediction_fields, prediction_text, submission_of, submit, write_csv
from compound.errors import CompoundError, UsageError
from compound.verbs.given import find_network

if TYPE_CHECKING:
    from compound.deploy import Prediction
    from compound.execution import Execution
    from compound.nn import ConvNet, Weights
    from compound.runtimes import Runtime

STREAMS = (".mjpeg", ".mjpg")
GUESSES = 5  # classes a line of a submission names


def predict(
    model: Model,
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGE…",
            help="Files, folders, patterns; or a stream of JPEG frames: a .mjpeg file, or - for standard input.",
        ),
    ],
    weights: ForeignWeights = None,
    top: Annotated[
        int | None, typer.Option(min=1, help="Classes to name for each image; default 5, or all above --threshold.")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Name classes from this probability on; default 0.5 for several labels."),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Images loaded at once; no figure depends on it.")] = 32,
    submission: Annotated[
        Path | None, typer.Option(help="Write a challenge's file: .txt of class numbers, .csv of names, five an image.")
    ] = None,
    class_numbers: Annotated[
        Path | None, typer.Option(help="The challenge's numbers of the classes, as ImageNet's map_clsloc.txt.")
    ] = None,
    runtime: Annotated[
        str, typer.Option(help="auto: what `compound export --to auto` chose, else torch; torch; or an exported file.")
    ] = "auto",
    csv: Annotated[
        Path | None, typer.Option(help="Write a row an image and class: path,rank,index,name,probability.")
    ] = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Predict the classes of photos, or of the frames of a video, with a trained network."""
    from compound.deploy import find_images
    from compound.deploy import predict as run_prediction
    from compound.execution import Execution

    execution = Execution(device, workers=0, batch=batch)
    if any(is_stream(place) for place in images):
        if len(images) > 1 or submission:
            raise UsageError(f"{images[0]} is a stream of frames, which is predicted alone and has no --submission")
        predict_stream(images[0], find_model(model, weights, runtime), top, threshold, execution, csv, json)
        return
    found = find_images(images)
    net, described = find_model(model, weights, runtime)
    if described.several and submission:
        raise UsageError(f"--submission needs one label an image, and {model} knows several; leave it out")
    top, threshold = limits(described, top, threshold)
    wanted = submission_of(submission, class_numbers, described)
    asked = max(top, GUESSES) if wanted else top
    predictions, damaged = run_prediction(net, described, found, execution, top=asked)
    if wanted and not damaged:
        submit(wanted, predictions)
    predictions = best_above(predictions, top, threshold)
    if csv:
        write_csv(csv, predictions)
    if predictions or json:
        answer(json, prediction_fields(predictions, damaged), prediction_text(predictions, threshold))
    if damaged:
        named = "; ".join(f"{path}: {reason}" for path, reason in damaged)
        kept = f"; {submission} needs all of them and was not written" if wanted else ""
        raise CompoundError(f"{len(damaged)} of {len(found)} images could not be read: {named}{kept}")


def limits(described: "Weights", top: int | None, threshold: float | None) -> tuple[int, float]:
    """How many classes are named, and from which probability on."""
    from compound.evaluation.several import THRESHOLD

    if described.several:
        return top or len(described.classes), THRESHOLD if threshold is None else threshold
    return top or GUESSES, threshold or 0.0


def is_stream(place: Path) -> bool:
    return str(place) == "-" or place.suffix.lower() in STREAMS


def predict_stream(
    place: Path,
    model: "tuple[ConvNet | Runtime, Weights]",
    top: int | None,
    threshold: float | None,
    execution: "Execution",
    csv: Path | None,
    json: bool,
) -> None:
    """Frames as they come; with --json the one object is printed at the end."""
    from compound.deploy import predict_frames

    predictions: list[Prediction] = []
    damaged: list[tuple[str, str]] = []
    top, threshold = limits(model[1], top, threshold)
    with nullcontext(sys.stdin.buffer) if str(place) == "-" else open_stream(place) as stream:
        for some, bad in predict_frames(*model, stream, execution, top=top):
            damaged += bad
            some = best_above(some, top, threshold)
            if csv or json:  # an endless stream is not kept
                predictions += some
            if some and not json:
                print(prediction_text(some, threshold), flush=True)
    if csv:
        write_csv(csv, predictions)
    if json:
        answer(json, prediction_fields(predictions, damaged), "")
    if damaged:
        raise CompoundError(f"{len(damaged)} frames could not be read; the first, {damaged[0][0]}: {damaged[0][1]}")


def open_stream(place: Path) -> BinaryIO:
    try:
        return place.open("rb")
    except OSError as error:
        raise UsageError(f"cannot read {place}: {error.strerror}; check the path") from None


def find_model(model: str, weights: str | None, runtime: str) -> "tuple[ConvNet | Runtime, Weights]":
    """What computes, and what it knows of its classes and images."""
    from compound.deploy import CHOICE, export_folder, open_model
    from compound.nn import load_weights
    from compound.runtimes import Runtime, open_runtime

    if runtime not in ("auto", "torch"):
        exported = open_runtime(Path(runtime))
        return exported, exported.described
    if weights:
        return load_weights(weights, find_network(model), several=True)
    opened, described = open_model(model, runtime, several=True)
    unused = export_folder(model) / CHOICE
    if runtime == "auto" and not isinstance(opened, Runtime) and unused.is_file():
        note(
            f"warning: {unused.parent} was exported from other weights and is not used; make it again: compound export"
        )
    return opened, described
