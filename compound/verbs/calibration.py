"""What is fitted on the held-out images and kept in the weights: a temperature, and when an image is none of these."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compound.documents import read_json
from compound.errors import UsageError
from compound.files import stands, write_json
from compound.verbs.given import Say

if TYPE_CHECKING:
    from compound.data import DataSet
    from compound.evaluation import Evaluation
    from compound.execution import Execution
    from compound.nn import ConvNet, Unknown, Weights
    from compound.nn.conformal import Sets
    from compound.nn.unknown import Usual

COUNTED = 10  # images of a class of which it is said how often their sets hold it
LOOKED_AT = 2000  # training images, evenly taken, of which is learned what a network usually says


@dataclass(frozen=True)
class Fitting:
    """`calibrate`: fit a temperature. `unknown`: choose the score below which an image is none of the classes, so that
    of those that are this share at most is refused. `coverage`: choose sets of classes that hold the right one so often
    (see `compound.nn.conformal`)."""

    calibrate: bool = False
    unknown: float | None = None
    coverage: float | None = None

    def __post_init__(self) -> None:
        for name, share in (("unknown", self.unknown), ("coverage", self.coverage)):
            if share is not None and not 0 < share < 1:
                raise UsageError(f"{name} {share:g} is no share of images; use one between 0 and 1, such as 0.05")

    def __bool__(self) -> bool:
        return any(self.options().values())

    def options(self) -> dict[str, bool]:
        """What was asked for, by the names of its options."""
        return {
            "--calibrate": self.calibrate,
            "--unknown": self.unknown is not None,
            "--coverage": self.coverage is not None,
        }


@dataclass(frozen=True)
class Calibrated:
    """`temperature`: what the logits are divided by now. `kept`: whether the weights have something new."""

    temperature: float | None = None
    kept: bool = False


def fit(net: "ConvNet", images: "DataSet", wanted: Fitting, execution: "Execution", say: Say) -> Calibrated:
    """Fit what is `wanted` on the held-out images, in place.

    A threshold and sets that were there are chosen again where the logits are divided, for they are of these.
    """
    from compound.evaluation import evaluate
    from compound.nn import Unknown, fit_unknown
    from compound.nn.conformal import fit_sets
    from compound.nn.unknown import ENERGY, LIKELIHOOD, place_of

    if not len(images.holdout):
        raise UsageError(f"{images.name} has no held-out images to fit on; give more training images")
    temperature = run_calibration(net, images, execution, say) if wanted.calibrate else None
    refused, coverage = wanted.unknown, wanted.coverage
    if refused is None and net.unknown is not None:
        refused = net.unknown.refused
    if coverage is None and net.sets is not None:
        coverage = net.sets.coverage
    held = evaluate(net, images.holdout, images.classes, execution)
    if refused is not None:
        place_of(held.images, refused)  # where these are too few, no other image need be looked at
        usual = usual_of(net, images, execution)
        score = ENERGY if usual is None else LIKELIHOOD
        scores = held.scores(Unknown(-math.inf, refused, 0, score, usual))
        net.unknown = fit_unknown(scores, refused, score, usual)
        say(f"unknown below {net.unknown.score} {net.unknown.least:.4g}, by {net.unknown.images:,} held-out images")
    if coverage is not None:
        net.sets = fit_sets(held.probabilities, held.labels, coverage)
        say(f"sets for a coverage of {coverage:.0%} fitted on {net.sets.images:,} held-out images")
    return Calibrated(temperature, True)


def usual_of(net: "ConvNet", images: "DataSet", execution: "Execution") -> "Usual | None":
    """What the network usually says of its training images; None where it knows too many classes, or has none."""
    import numpy as np

    from compound.data import subset
    from compound.evaluation import evaluate
    from compound.nn.unknown import MOST_CLASSES, Usual

    count = len(images.train)
    if not count or net.classes > MOST_CLASSES:
        return None
    rows = np.unique(np.linspace(0, count - 1, min(LOOKED_AT, count)).astype(np.int64))
    said = evaluate(net, subset(images.train, rows), images.classes, execution)
    return Usual.of(said.probabilities.double().log())


def run_calibration(net: "ConvNet", images: "DataSet", execution: "Execution", say: Say) -> float:
    """Divide the logits of `net` by the temperature that suits the held-out images, and return it."""
    from compound.evaluation import ENOUGH, at_a_bound, calibrate

    temperature = calibrate(net, images.holdout, images.classes, execution)
    doubt = at_a_bound(temperature)
    if doubt:
        say(f"warning: {doubt}")
    say(f"temperature {temperature:.3f} fitted on {len(images.holdout):,} held-out images")
    if len(images.holdout) < ENOUGH:
        say(
            f"warning: so few may make probabilities worse, {ENOUGH} or more seldom do: train with --holdout {ENOUGH}, "
            "or collect more photos"
        )
    return temperature


def refused_of(result: "Evaluation", unknown: "Unknown") -> dict[str, Any]:
    """The threshold, and the share of the images of `result` that it refuses, with its 95 % interval."""
    from compound.evaluation import wilson

    share = (result.scores(unknown) < unknown.least).double().mean().item()
    return unknown.told() | {"refused_here": share, "refused_here_interval": list(wilson(share, result.images))}


def covered_of(result: "Evaluation", sets: "Sets") -> dict[str, Any]:
    """The sets, how many images of `result` have their class in theirs, with a 95 % interval, and the mean size.

    `per_class`: the same of each class with `COUNTED` images or more, for the promise is of all classes together.
    """
    from compound.evaluation import wilson

    chosen = sets.chosen(result.probabilities)
    inside = chosen.gather(1, result.labels[:, None])[:, 0].double()
    share, sizes = inside.mean().item(), chosen.sum(1).double().mean().item()
    own = [(name, inside[result.labels == number]) for number, name in enumerate(result.classes)]
    per_class = {
        name: {
            "images": len(one),
            "covered": one.mean().item(),
            "covered_interval": wilson(one.mean().item(), len(one)),
        }
        for name, one in own
        if len(one) >= COUNTED
    }
    all_of = {"covered": share, "covered_interval": list(wilson(share, result.images)), "mean_size": sizes}
    return asdict(sets) | all_of | {"per_class": per_class}


def keep_weights(path: Path, net: "ConvNet", described: "Weights") -> None:
    """Write the weights as they are now."""
    from compound.nn import save_weights

    save_weights(net, path / "model.safetensors" if path.is_dir() else path, described.classes)


def keep_figures(path: Path, temperature: float | None, fields: dict[str, Any]) -> None:
    """Write the new figures of the run's own data, where it has some."""
    told = path / "evaluation.json"
    if not stands(told):
        return
    before = read_json(told, "run: compound evaluate")
    if temperature is not None:
        fields = fields | {"temperature": temperature * before.get("temperature", 1.0)}  # of all times together
    write_json(told, before | fields)
