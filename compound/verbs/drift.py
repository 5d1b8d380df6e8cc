"""`compound.drift`: how accurate a network is on photos without labels, from its log of scores, and what has moved."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compound.errors import CompoundError, UsageError
from compound.mapping import shown
from compound.verbs.given import Place, Say, heard, silent

if TYPE_CHECKING:
    from compound.data import Source
    from compound.deploy.scorelog import Logged
    from compound.evaluation.drift import Check, Estimate, Moved, Reference
    from compound.execution import Execution
    from compound.nn import ConvNet
    from compound.training.run import Run

REFERENCE = "reference.json"
REMEDY = "delete it, and compound drift makes it again"
MOST = 2000  # labelled images that are looked at, evenly taken
MOST_WORSE = 300  # of them under each corruption
LEAST = 30


@dataclass(frozen=True)
class Drifted:
    """What a log says beside the labelled images of its run."""

    log: "Logged"
    reference: "Reference"
    estimate: "Estimate"
    moved: "list[Moved]"

    def to_json(self) -> dict[str, Any]:
        known, one = self.reference, self.estimate
        return {
            "images": one.images,
            "first": self.log.first,
            "last": self.log.last,
            "models": list(self.log.models),
            "broken_lines": self.log.broken,
            "top1_estimated": one.top1,
            "top1_interval": list(one.interval),
            "error_on_worse_images": known.off,
            "top1_by_confidence": one.by_confidence,
            "reference": {"images": known.images, "top1": sum(known.right) / known.images},
            "moved": [each.to_json() for each in self.moved],
        }


@heard
def drift(
    log: Place, run: Place, *, last: int | None = None, execution: "Execution | None" = None, say: Say = silent
) -> Drifted:
    """Estimate the accuracy on photos without labels, and say what is other than on the labelled ones.

    Args:
        log: what `compound predict --log` or `compound serve --log` wrote.
        run: the run that answered. Its held-out and test images are looked at once, for `reference.json` in it.
        last: only so many of the newest images.
        execution: where it runs, the first time.
        say: told what is measured.

    Raises `UsageError` for a log of other classes, and for a run without enough labelled images.
    """
    from compound.deploy.scorelog import read_log, refuse_strangers
    from compound.evaluation.drift import estimate, moved
    from compound.execution import Execution
    from compound.training import open_run

    found, opened = read_log(Path(log), last), open_run(Path(run))
    refuse_strangers(found, [str(name) for name in opened.data["classes"]], Path(log), opened.path)
    if others := [name for name in found.models if name and name != opened.path.resolve().name]:
        told = ", ".join(map(shown, others))
        say(f"warning: {log} was written by {told}; the estimate is of {opened.path.name}, right if both are one")
    known = reference_of(opened, execution or Execution(), say)
    images = found.images
    unknown = [bool(one.unknown) for one in images if one.unknown is not None]
    light = [float(one.brightness) for one in images if one.brightness is not None]
    names, confidences = [one.name for one in images], [one.confidence for one in images]
    said = estimate(known, names, confidences)
    return Drifted(found, known, said, moved(known, names, confidences, unknown, light))


def reference_of(run: "Run", execution: "Execution", say: Say) -> "Reference":
    """What the run's labelled images say, as it is kept in the run; measured where it is not, or of other weights."""
    from compound.documents import damage, read_json
    from compound.evaluation.drift import Reference
    from compound.files import sha256, stands, write_json
    from compound.nn import load_weights

    file, weights = run.path / REFERENCE, sha256(run.weights)
    if stands(file):
        try:
            found = Reference.parse(read_json(file, REMEDY))
        except (ValueError, TypeError, KeyError):
            raise damage(file, "it is not what compound drift writes", REMEDY) from None
        if found.weights == weights:
            return found
    net, described = load_weights(run.path)
    if described.several:
        raise UsageError(f"{run.path} knows several labels an image, whose confidence is no share of right answers")
    source = labelled(run)
    say(f"looking at {len(source):,} labelled images that {run.path} did not learn, once")
    found = measured(net, source, described.classes, weights, execution)
    try:
        write_json(file, found.to_json())
    except CompoundError as error:
        say(f"{error}; it is measured again the next time")
    return found


def measured(
    net: "ConvNet", source: "Source", classes: tuple[str, ...], weights: str, execution: "Execution"
) -> "Reference":
    """What the network says of the labelled images of `source`."""
    from compound.data import Preprocessing
    from compound.evaluation import evaluate
    from compound.evaluation.drift import Reference
    from compound.evaluation.groups import brightness

    result = evaluate(net, source, classes, execution)
    light = brightness(source, Preprocessing.of(net.network), execution)[result.indices.numpy()]
    unknown = None
    if net.unknown is not None:
        unknown = (result.scores(net.unknown) < net.unknown.least).double().mean().item()
    return Reference(
        weights, tuple(classes[i] for i in result.predicted.tolist()), tuple(result.confidence.tolist()),
        tuple(result.hits(1).tolist()), tuple(light.tolist()), unknown, tuple(checks(net, source, execution)),
    )  # fmt: skip


def labelled(run: "Run") -> "Source":
    """The held-out images, and the test images unless they are kept for one look."""
    import numpy as np

    from compound.data.source import concatenated, subset
    from compound.training.final import is_final, is_unseen
    from compound.training.judging import data_of_run

    data, _ = data_of_run(run)
    kept = is_unseen(run) or is_final(run)
    source = data.holdout if kept else concatenated(data.holdout, data.test)
    if len(source) < LEAST:
        raise UsageError(
            f"{run.path} has {len(source)} labelled images that it did not learn, and an estimate takes {LEAST}: train "
            "with a larger --holdout"
        )
    return subset(source, np.unique(np.linspace(0, len(source) - 1, min(MOST, len(source))).astype(np.int64)))


def checks(net: "ConvNet", source: "Source", execution: "Execution") -> "list[Check]":
    """How the estimate fares on labelled images made worse, each condition beside the same images as they are."""
    import numpy as np
    import torch

    from compound.data.source import subset
    from compound.evaluation.drift import Answers, Check, by_both
    from compound.evaluation.robustness import CORRUPTIONS, SEVERITIES, answers

    rows = np.unique(np.linspace(0, len(source) - 1, min(MOST_WORSE, len(source))).astype(np.int64))
    plain = ("", 0)
    asked = [plain, *((name, severity) for name in CORRUPTIONS for severity in SEVERITIES)]
    said: dict[tuple[str, int], list[Any]] = {key: [] for key in asked}
    for labels, found in answers(net, subset(source, rows), asked, execution):
        for key, logits in found.items():
            best = logits.softmax(1).max(1)
            said[key].append(torch.stack([best.values.double(), best.indices, best.indices == labels]))
    known, top1 = {}, {}
    for key, parts in said.items():
        confidence, indices, right = torch.cat(parts, 1)
        known[key] = Answers(indices.tolist(), confidence, right)
        top1[key] = right.mean().item()
    before = known.pop(plain)
    return [Check(*key, top1[key], by_both(before, one)) for key, one in known.items()]
