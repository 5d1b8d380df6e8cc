"""The one look at the test images: an epoch is chosen on held-out images and evaluated once (Section 5.2).

A run that keeps its test images for later has holdout.json and no evaluation.json.
"""

from pathlib import Path
from typing import Any

from compound.documents import read_json
from compound.errors import UsageError
from compound.evaluation import Evaluation
from compound.files import write_json
from compound.notes import note
from compound.training.outcome import cautions_of
from compound.training.run import Run


def keep_result(run: Run, result: Evaluation, told: dict[str, Any], final: bool | None) -> None:
    """Write what `result` says, what else is `told` of the training, and cautions, which are noted, into the run.

    `final` False: it is of the held-out images. True: of the test images, and no other shall follow.
    """
    said = cautions_of(run, result, "held-out" if final is False else "test")
    for caution in said:
        note(f"warning: {caution}")
    summary = result.summary() | told | {"cautions": said} | ({"final": True} if final else {})
    write_json(run.held_out if final is False else run.evaluation, summary)


def is_unseen(run: Run) -> bool:
    """Whether the run keeps its test images for the end."""
    return run.held_out.exists() and not run.evaluation.exists()


def refuse_unseen(run: Run) -> None:
    """Raise `UsageError` where a run's test images are still kept."""
    if is_unseen(run):
        raise UsageError(
            f"{run.path} keeps its test images for the end; "
            f"`compound evaluate {run.path} --final` evaluates on them once"
        )


def refuse_second(run: Run) -> None:
    """Raise `UsageError` where a finished run was evaluated on its test images."""
    if run.state == "done" and run.evaluation.exists():
        top1 = _read(run.evaluation)["top1"]
        raise UsageError(
            f"{run.path} was evaluated on its test images already (top-1 {top1:.2%}, {run.evaluation}); what is chosen "
            f"after a second look is chosen by them. To see the figures again: compound evaluate {run.path} --again"
        )


def refuse_look(run: Run, final: bool, again: bool) -> None:
    """Raise `UsageError` for a look at a run's test images that is one too many, or too early.

    `final`: it is the one that a run keeps them for. `again`: one more is wanted.
    """
    if not again and (final or is_final(run)):
        refuse_second(run)
    elif not final:
        refuse_unseen(run)


def is_final(run: Run) -> bool:
    """Whether the test images were to be looked at once, and were."""
    return run.evaluation.exists() and bool(_read(run.evaluation).get("final"))


def finish(run: Run, result: Evaluation) -> None:
    """Write the final evaluation of a run that kept its test images for it."""
    kept = _read(run.held_out) if run.held_out.exists() else {}
    told: dict[str, Any] = {
        name: kept[name]
        for name in ("chosen", "fine_tuning", "training_seconds", "warmup_epochs", "foreseen", "damaged_training")
        if name in kept
    }
    keep_result(run, result, told, final=True)


def _read(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = read_json(file, "delete it, or make it again")
    return found
