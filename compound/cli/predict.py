"""`compound predict`: the classes of photos."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compound.cli.common import Json, answer, find_network, note
from compound.cli.evaluate import ForeignWeights, Model
from compound.cli.training import Device
from compound.errors import CompoundError, UsageError

if TYPE_CHECKING:
    from compound.deploy import Prediction, Runtime
    from compound.evaluation import Submission
    from compound.nn import ConvNet, Weights

GUESSES = 5  # classes a line of a submission names


def predict(
    model: Model,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE…", help="Image files, or folders of them.")],
    weights: ForeignWeights = None,
    top: Annotated[int, typer.Option(min=1, help="Classes to name for each image.")] = 5,
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
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Predict the classes of photos with a trained network."""
    from compound.deploy import find_images
    from compound.deploy import predict as run_prediction

    found = find_images(images)
    net, described = find_model(model, weights, runtime)
    wanted = submission_of(submission, class_numbers, described)
    asked = max(top, GUESSES) if wanted else top
    predictions, damaged = run_prediction(net, described, found, top=asked, batch=batch, device=device)
    if wanted and not damaged:
        submit(wanted, predictions)
    predictions = [replace(one, classes=one.classes[:top]) for one in predictions]
    lines = []
    for one in predictions:
        lines.append(one.path)
        lines += [f"{probability:>8.1%}  {name}" for _, name, probability in one.classes]
    value = {
        "predictions": [one.to_json() for one in predictions],
        "damaged": [{"path": path, "reason": reason} for path, reason in damaged],
    }
    if predictions or json:
        answer(json, value, "\n".join(lines))
    if damaged:
        named = "; ".join(f"{path}: {reason}" for path, reason in damaged)
        kept = f"; {submission} needs all of them and was not written" if wanted else ""
        raise CompoundError(f"{len(damaged)} of {len(found)} images could not be read: {named}{kept}")


def find_model(model: str, weights: Path | None, runtime: str) -> "tuple[ConvNet | Runtime, Weights]":
    """What computes, and what it knows of its classes and images."""
    from compound.deploy import Runtime, export_folder, load_predictor, open_model, open_runtime

    if runtime not in ("auto", "torch"):
        exported = open_runtime(Path(runtime))
        return exported, exported.described
    if weights:
        return load_predictor(weights, find_network(model))
    opened, described = open_model(model, runtime)
    unused = export_folder(model) / "deploy.json"
    if runtime == "auto" and not isinstance(opened, Runtime) and unused.is_file():
        note(
            f"warning: {unused.parent} was exported from other weights and is not used; make it again: compound export"
        )
    return opened, described


def submission_of(path: Path | None, numbers: Path | None, described: "Weights") -> "Submission | None":
    """What to submit, checked before any image is read."""
    from compound.evaluation import Submission, read_numbers

    if path is None:
        if numbers:
            raise UsageError("--class-numbers belongs to --submission FILE.txt")
        return None
    return Submission(path, described.classes, read_numbers(numbers) if numbers else None)


def submit(wanted: "Submission", predictions: "list[Prediction]") -> None:
    """A challenge knows an image by its file name alone, so no two may share one."""
    from compound.evaluation import write_submission

    best = {Path(one.path).name: [index for index, _, _ in one.classes] for one in predictions}
    if len(best) < len(predictions):
        raise UsageError(f"{wanted.path} names images by file name, and {len(predictions) - len(best)} share one")
    write_submission(wanted, best)
