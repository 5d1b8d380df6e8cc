"""What predictions look like: plain values, lines of text, a CSV file, a challenge's file."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compound import documents
from compound.errors import UsageError

if TYPE_CHECKING:
    from compound.deploy import Prediction
    from compound.evaluation import Submission
    from compound.nn import Weights


def best_above(predictions: "list[Prediction]", top: int, threshold: float) -> "list[Prediction]":
    return [replace(one, classes=[best for best in one.classes[:top] if best[2] >= threshold]) for one in predictions]


def prediction_fields(predictions: "list[Prediction]", damaged: list[tuple[str, str]]) -> dict[str, Any]:
    return {
        "predictions": [one.to_json() for one in predictions],
        "damaged": [{"path": path, "reason": reason} for path, reason in damaged],
    }


def prediction_text(predictions: "list[Prediction]", threshold: float) -> str:
    lines = []
    for one in predictions:
        lines.append(one.path)
        named = [f"{probability:>8.1%}  {name}" for _, name, probability in one.classes]
        lines += named or [f"       –  no class from {threshold:g} on"]
    return "\n".join(lines)


def write_csv(path: Path, predictions: "list[Prediction]") -> None:
    """A row an image and class, the best first."""
    rows = [(one.path, rank, *best) for one in predictions for rank, best in enumerate(one.classes, 1)]
    documents.write_csv(path, ("path", "rank", "index", "name", "probability"), rows)


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
