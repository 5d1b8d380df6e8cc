"""Fine-tuning shall not end below the probe that it began with: of the two, the better on the held-out images is kept.

With few images both ends lie close together, and which one is ahead differs from set to set.
"""

from pathlib import Path
from typing import Any

from compound.data import DataSet
from compound.evaluation import Evaluation, evaluate
from compound.execution import Execution
from compound.nn import ConvNet
from compound.notes import note
from compound.parallel import is_first
from compound.training.run import Run
from compound.training.start import FRESH, Start, can_be_probed
from compound.training.storage import load, save


def keep_probe(model: ConvNet, run: Run, data: DataSet, start: Start) -> None:
    """Write probe.ckpt, `model` as training begins with it: a probe, where there are images to judge it by."""
    if start != FRESH and run.recipe.transfer.probe_first and can_be_probed(model) and len(data.holdout) and is_first():
        save({"state_dict": model.state_dict()}, _file(run))


def keep_better(model: ConvNet, run: Run, data: DataSet, execution: Execution) -> dict[str, Any] | None:
    """Make `model`, as fine-tuning left it, the probe again where that is the better one; None without a probe.

    Better is who has more of the held-out images right, and among equals who has the smaller loss. Returns both shares,
    and which of the two is `kept`.
    """
    if not _file(run).exists():
        return None
    tuned = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    after = evaluate(model, data.holdout, data.classes, execution)
    model.load_state_dict(load(_file(run))["state_dict"])
    before = evaluate(model, data.holdout, data.classes, execution)
    probe = _order(before) > _order(after)
    if not probe:
        model.load_state_dict(tuned)
    kept = "probe" if probe else "fine-tuned"
    told = {"kept": kept, "probe": before.top(1), "fine_tuned": after.top(1), "images": before.images}
    if is_first():
        note(better_text(told))
    return told


def better_text(told: dict[str, Any]) -> str:
    """What `keep_better` found, in a sentence."""
    names = {"probe": "The probe", "fine-tuned": "The fine-tuned network"}
    shares = f"{told['probe']:.1%} right before fine-tuning and {told['fine_tuned']:.1%} after it"
    equal = ", told apart by the loss" if told["probe"] == told["fine_tuned"] else ""
    return f"{names[told['kept']]} is kept: of {told['images']:,} held-out images {shares}{equal}."


def _order(result: Evaluation) -> tuple[float, float]:
    return result.top(1), -result.loss


def _file(run: Run) -> Path:
    return run.checkpoints / "probe.ckpt"
