"""`compound predict`: the classes of photos."""

import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from compound.cli.answers import Json, answer, note
from compound.cli.evaluate import ForeignWeights, Model
from compound.cli.options.execution import Device, Log
from compound.cli.options.networks import in_order
from compound.errors import CompoundError, UsageError
from compound.terminal import printable
from compound.verbs import predict as verb
from compound.verbs.predict import Predicted
from compound.verbs.sets import predict_sets

Threshold = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Name classes from this probability on; default 0.5 for several labels an image (multi-label).",
    ),
]
SetsOf = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="Name the classes among which the right one is so often, e.g. 0.9 (of a run)."),
]
STREAMS = (".mjpeg", ".mjpg")


def predict(
    model: Model,
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGE…",
            help="Files, folders, patterns; an .npz of images; or JPEG frames: a .mjpeg file, or - for standard input.",
        ),
    ],
    weights: ForeignWeights = None,
    top: Annotated[
        int | None, typer.Option(min=1, help="Classes to name for each image; default 5, or all above --threshold.")
    ] = None,
    threshold: Threshold = None,
    coverage: SetsOf = None,
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
    log: Log = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Predict the classes of photos, or of the frames of a video, with a trained network."""
    from compound.execution import Execution

    if not weights:
        in_order("predict", model, str(images[0]))
    execution = Execution(device, workers=0, batch=batch)
    if coverage is not None:
        refuse_beside_coverage(weights=weights, top=top, threshold=threshold, submission=submission, log=log)
    if any(is_stream(place) for place in images):
        if len(images) > 1 or submission or coverage:
            raise UsageError(f"{images[0]} is a stream and predicted alone, without --submission and --coverage")
        answers = partial(
            verb.predict_frames, model,
            weights=weights, top=top, threshold=threshold, runtime=runtime, log=log, execution=execution, say=note,
        )  # fmt: skip
        return predict_stream(images[0], answers, csv, json)
    if coverage is not None:
        found = predict_sets(model, images, coverage, execution=execution, say=note)
    else:
        found = verb.predict(
            model, images, weights=weights, top=top, threshold=threshold, runtime=runtime, submission=submission,
            class_numbers=class_numbers, log=log, execution=execution, say=note,
        )  # fmt: skip
    return tell(found, csv, submission, json)


def tell(found: Predicted, csv: Path | None, submission: Path | None, json: bool) -> None:
    """Write and print what was found. Raises `CompoundError` for images that could not be read."""
    from compound.deploy import write_table

    if csv:
        write_table(csv, found.predictions)
    if found.predictions and not json:
        note(f"computed by {found.runtime}")
    if found.predictions or json:
        answer(json, found.to_json(), prediction_text(found))
    if found.damaged:
        named = "; ".join(f"{path}: {reason}" for path, reason in found.damaged.items())
        kept = f"; {submission} needs all of them and was not written" if submission else ""
        seen = len(found.predictions) + len(found.damaged)
        raise CompoundError(f"{len(found.damaged)} of {seen} images could not be read: {named}{kept}")


def refuse_beside_coverage(**options: object) -> None:
    """Raise `UsageError` for what says how many classes are named, or of which model, in another way."""
    for name, value in options.items():
        if value is not None:
            raise UsageError(f"--{name} does not go with --coverage; leave one of them out")


def is_stream(place: Path) -> bool:
    return str(place) == "-" or (place.suffix.lower() in STREAMS and not place.is_dir())


def predict_stream(
    place: Path, frames: Callable[[BinaryIO], Iterator[Predicted]], csv: Path | None, json: bool
) -> None:
    """Frames as they come; with --json the one object is printed at the end."""
    from compound.deploy import write_table

    every = Predicted([])
    with nullcontext(sys.stdin.buffer) if str(place) == "-" else open_stream(place) as stream:
        for some in frames(stream):
            if some.runtime != every.runtime:  # at the first of them
                every = replace(every, runtime=some.runtime)
                note(f"computed by {some.runtime}")
            every.damaged.update(some.damaged)
            if csv or json:  # an endless stream is not kept
                every.predictions.extend(some.predictions)
            if some.predictions and not json:
                print(printable(prediction_text(some)), flush=True)
    if csv:
        write_table(csv, every.predictions)
    if json:
        answer(json, every.to_json(), "")
    if every.damaged:
        first, reason = next(iter(every.damaged.items()))
        raise CompoundError(f"{len(every.damaged)} frames could not be read; the first, {first}: {reason}")


def open_stream(place: Path) -> BinaryIO:
    try:
        return place.open("rb")
    except OSError as error:
        raise UsageError(f"cannot read {place}: {error.strerror}; check the path") from None


def prediction_text(found: Predicted) -> str:
    lines = []
    for one in found.predictions:
        lines.append(one.path)
        if one.unknown:
            lines.append(f" unknown  score {one.score:.4g}, too low for any class; the nearest:")
        named = [f"{probability:>8.1%}  {name}" for _, name, probability in one.classes]
        lines += named or [f"       –  no class from {found.threshold:g} on"]
    return "\n".join(lines)
