"""`compound.predict`: the classes of photos, and `compound.predict_frames`: those of a stream of frames."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from compound.errors import UsageError
from compound.files import name_of
from compound.verbs.given import Place, Say, heard, paths, silent
from compound.verbs.models import find_runner

if TYPE_CHECKING:
    from compound.deploy import Prediction
    from compound.evaluation import Submission
    from compound.execution import Execution
    from compound.nn import ConvNet, Weights
    from compound.runtimes import Runtime

GUESSES = 5  # classes that are named unless something else is asked for, and those of a line of a submission


@dataclass(frozen=True)
class Predicted:
    """The most probable classes of each readable image in order, and why the others were not: path to reason."""

    predictions: "list[Prediction]"
    damaged: dict[str, str] = field(default_factory=dict)
    threshold: float = 0.0  # the probability from which classes are named
    runtime: str = ""  # what computed them, and in which precision

    def to_json(self) -> dict[str, Any]:
        return {
            "predictions": [one.to_json() for one in self.predictions],
            "damaged": [{"path": path, "reason": reason} for path, reason in self.damaged.items()],
            "runtime": self.runtime,
        }


@heard
def predict(
    model: Place,
    images: Place | Sequence[Place],
    *,
    weights: Place | None = None,
    top: int | None = None,
    threshold: float | None = None,
    runtime: str = "auto",
    submission: Place | None = None,
    class_numbers: Place | None = None,
    log: Place | None = None,
    execution: "Execution | None" = None,
    say: Say = silent,
) -> Predicted:
    """Predict the classes of photos with a trained network.

    Args:
        model: a run, a weights file, a published name or an exported file; with `weights`, the name of a network.
        images: files, folders or patterns.
        weights: another library's weights, or a published name, for the network `model`.
        top: classes to name for each image; by default 5, of a network that knows several labels an image all.
        threshold: name classes from this probability on; by default 0, for several labels 0.5.
        runtime: `auto`: what `compound export --to auto` chose for these weights, else PyTorch; `torch`; or an
            exported file.
        submission: write a challenge's file here, `.txt` of class numbers or `.csv` of names, five an image; only
            when all images could be read.
        class_numbers: the challenge's numbers of the classes, as ImageNet's map_clsloc.txt has them.
        log: add what was said of each image to this file, for `drift`.
        execution: where it runs; by default 32 images at once, loaded by this process.
        say: told of an export that is no longer of these weights.

    Raises `UsageError` for what is not there or says nothing together; images that cannot be read raise nothing.
    """
    from compound.deploy import find_images
    from compound.deploy import predict as run_prediction
    from compound.deploy.predict import FEW

    found = find_images(paths(images))
    net, described = find_runner(model, weights, runtime, say)
    if described.several and submission:
        raise UsageError(f"--submission needs one label an image, and {model} knows several; leave it out")
    keep = keeper(log, model, described)
    top, threshold = limits(described, top, threshold)
    wanted = _submission(submission, class_numbers, described)
    asked = max(top, GUESSES) if wanted else top
    predictions, bad = run_prediction(net, described, found, execution or FEW, top=asked)
    keep(predictions)
    if wanted and not bad:
        _submit(wanted, predictions)
    return Predicted(best_above(predictions, top, threshold), dict(bad), threshold, runtime_of(net))


@heard
def predict_frames(
    model: Place,
    stream: BinaryIO,
    *,
    weights: Place | None = None,
    top: int | None = None,
    threshold: float | None = None,
    runtime: str = "auto",
    log: Place | None = None,
    execution: "Execution | None" = None,
    say: Say = silent,
) -> Iterator[Predicted]:
    """What `predict` says of each batch of frames of a stream of JPEG images, as they come; paths number them."""
    from compound.deploy import predict_frames as run_prediction
    from compound.deploy.predict import FEW

    net, described = find_runner(model, weights, runtime, say)
    most, least = limits(described, top, threshold)
    answers = run_prediction(net, described, stream, execution or FEW, top=most)
    computed, keep = runtime_of(net), keeper(log, model, described)
    return (Predicted(best_above(keep(some), most, least), dict(bad), least, computed) for some, bad in answers)


def keeper(log: Place | None, model: Place, described: "Weights") -> "Callable[[list[Prediction]], list[Prediction]]":
    """Adds predictions to the log, if there is one, and gives them back. Raises `UsageError` for several labels."""
    if log is None:
        return lambda predictions: predictions
    from compound.deploy.scorelog import Scored, ScoreLog

    if described.several:
        raise UsageError(f"--log keeps one class an image, and {model} knows several; leave it out")
    kept = ScoreLog(Path(log), name_of(Path(model)))

    def keep(predictions: "list[Prediction]") -> "list[Prediction]":
        kept.add(
            [
                Scored(one.classes[0][1], one.classes[0][2], one.score, one.unknown, one.brightness)
                for one in predictions
            ]
        )
        return predictions

    return keep


def runtime_of(net: "ConvNet | Runtime") -> str:
    """What computes, and in which precision: `openvino bf16`; a network as it was trained is `torch fp32`."""
    from compound.runtimes import Runtime

    return f"{net.name} {net.precision}" if isinstance(net, Runtime) else "torch fp32"


def limits(described: "Weights", top: int | None, threshold: float | None) -> tuple[int, float]:
    """How many classes are named, and from which probability on."""
    from compound.evaluation.several import THRESHOLD

    if threshold is not None and not 0 <= threshold <= 1:
        raise UsageError(f"threshold {threshold} is not a probability; use 0 to 1, e.g. 0.5")
    if described.several:
        return top or len(described.classes), THRESHOLD if threshold is None else threshold
    return top or GUESSES, threshold or 0.0


def best_above(predictions: "list[Prediction]", top: int, threshold: float) -> "list[Prediction]":
    return [replace(one, classes=[best for best in one.classes[:top] if best[2] >= threshold]) for one in predictions]


def _submission(path: Place | None, numbers: Place | None, described: "Weights") -> "Submission | None":
    """What to submit, checked before any image is read."""
    from compound.evaluation import Submission, read_numbers

    if path is None:
        if numbers:
            raise UsageError("--class-numbers belongs to --submission FILE.txt")
        return None
    return Submission(Path(path), described.classes, read_numbers(Path(numbers)) if numbers else None)


def _submit(wanted: "Submission", predictions: "list[Prediction]") -> None:
    """A challenge knows an image by its file name alone, so no two may share one."""
    from compound.evaluation import write_submission

    best = {Path(one.path).name: [index for index, _, _ in one.classes] for one in predictions}
    if len(best) < len(predictions):
        raise UsageError(f"{wanted.path} names images by file name, and {len(predictions) - len(best)} share one")
    write_submission(wanted, best)
