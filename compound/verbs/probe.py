"""`compound.probe`: how far a pretrained network's features go with a linear classifier, before any training."""

from dataclasses import dataclass, replace
from os import fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compound.errors import UsageError
from compound.verbs.given import Place, Say, find_network, heard, silent
from compound.verbs.models import find_model

if TYPE_CHECKING:
    from compound.data import DataSet, DataSpec, Source
    from compound.data.folds import Folds
    from compound.evaluation.folds import OutOfFold
    from compound.execution import Execution
    from compound.nn import ConvNet
    from compound.training.probe import Draws, Features

BATCH = 64


@dataclass(frozen=True)
class Probed:
    """The accuracies of linear classifiers on the features of `network`, and `how` they were measured.

    `majority`: the share of the most frequent class. `out`: the network with the classifier of all images.
    `folded`: what was said of each image by the classifier of folds that never saw it.
    """

    network: str
    weights: str
    data: str
    classes: int
    images: int
    majority: float
    draws: "Draws"
    how: str
    out: Path | None = None
    folded: "OutOfFold | None" = None

    def to_json(self) -> dict[str, Any]:
        found, names = self.draws, ("network", "weights", "data", "classes", "images", "majority")
        value: dict[str, Any] = {name: getattr(self, name) for name in names}
        value |= {"accuracy": found.mean, "interval": list(self.interval()), "accuracies": found.accuracies}
        return value | {"penalties": found.penalties} | ({"out": str(self.out)} if self.out else {})

    def interval(self) -> tuple[float, float]:
        """95 % of the accuracy; of images in groups the groups count, not the images."""
        return self.folded.interval() if self.folded else self.draws.interval()


@heard
def probe(
    network: Place,
    data: "DataSpec | Place",
    *,
    weights: Place | None = None,
    folds: "Folds | int | None" = None,
    shots: int | None = None,
    draws: int = 20,
    seed: int = 0,
    out: Place | None = None,
    execution: "Execution | None" = None,
    say: Say = silent,
) -> Probed:
    """Fit a linear classifier on frozen features; test images, k folds or few shots say how good it is.

    Args:
        network: a run or a published name; with `weights`, the name of a network.
        data: the question that opens the images, or only where they lie.
        weights: of `network`: a file or a published name; `random`: fresh ones.
        folds: cross-validate over all images; how many, or also what must not be divided and where the probabilities
            go. shots: learn from so many images a class, `draws` times.
        seed: of folds, shots and random weights.
        out: write the network with the classifier of all images.
        execution: where it runs; by default 64 images at once.
        say: told of doubts about the weights.

    Raises `UsageError` for folds and shots together, and for data with several labels an image.
    """
    from compound.data.folds import Folds
    from compound.evaluation.folds import write_folds
    from compound.execution import Execution
    from compound.nn import build
    from compound.training.doubts import doubts

    if folds is not None and shots is not None:
        raise UsageError("--folds and --shots are two ways to measure; give one of them")
    if weights == "random":
        model = build(find_network(network), seed=seed)
    else:
        model, _ = find_model(network, weights)
    images = _open(data, model, seed)
    if weights not in (None, "random"):
        for doubt in doubts(str(weights), model.network, images):
            say(f"warning: {doubt}")
    running, given = execution or Execution(batch=BATCH), fspath(weights or network)
    images, sources = apart_from(given, images, whole=folds is not None or shots is not None, say=say)
    asked = Folds(folds) if isinstance(folds, int) else folds
    everything, found, how, folded = _measured(model, images, sources, (asked, shots, draws), seed, running)
    written = _kept(model, everything, images, seed, Path(out), given) if out is not None else None
    if folded is not None and asked and asked.out:
        write_folds(Path(asked.out), folded)
    majority = everything.labels.bincount().max().item() / len(everything)
    return Probed(
        model.network.name, given, images.name, len(images.classes), len(everything), majority, found, how, written,
        folded,
    )  # fmt: skip


def _kept(model: "ConvNet", everything: "Features", images: "DataSet", seed: int, out: Path, given: str) -> Path:
    """The network with the classifier of all images, and beside it that it learned them all."""
    from compound.nn import save_weights
    from compound.training.judging import learned_by
    from compound.training.probe import classified
    from compound.training.seen import all_learned, list_beside, seen_in, write_seen

    written = save_weights(classified(model, everything, seed), out, images.classes)
    write_seen(list_beside(written), all_learned(seen_in(images), learned_by(given)))
    return written


def apart_from(model: str, images: "DataSet", whole: bool, say: Say = silent) -> "tuple[DataSet, list[Source]]":
    """The parts to probe with, as the run of `model` had them; where the `whole` is drawn from, what it never saw."""
    from compound.training.judging import parts_as_in, unlearned

    parts, said = parts_as_in([model], images)
    sources = [parts.train, parts.holdout, parts.test]
    if whole:
        before = sum(map(len, sources))
        sources = [unlearned(model, part) for part in sources]
        left = before - sum(map(len, sources))
        said = [f"{left:,} images that {model} trained on are left out"] if left else []
        if left == before:
            raise UsageError(f"{model} trained on every image of {images.name}; name data that it did not train on")
    for sentence in said:
        say(sentence)
    return parts, sources


def _open(data: "DataSpec | Place", model: "ConvNet", seed: int) -> "DataSet":
    from compound.data import DataSpec

    spec = data if isinstance(data, DataSpec) else DataSpec(str(data), seed=seed)
    images = replace(spec, channels=model.channels).open()
    if images.several:
        raise UsageError(f"{images.name} has several labels an image, and a probe measures one; use compound train")
    return images


def _measured(
    model: "ConvNet",
    images: "DataSet",
    sources: "list[Source]",
    asked: "tuple[Folds | None, int | None, int]",
    seed: int,
    running: "Execution",
) -> "tuple[Features, Draws, str, OutOfFold | None]":
    """Features of all images, accuracies by folds, shots or the test images, which of these, and what folds said."""
    from compound.training.probe import features, few_shot, joined, probe_test

    folds, shots, draws = asked
    if folds is not None:
        return _cross_validated(model, images, sources, folds, seed, running)
    parts = [features(model, part, len(images.classes), running) for part in sources if len(part)]
    everything = joined(parts)
    if shots is not None:
        found = few_shot(everything, shots, draws, seed)
        return everything, found, f"{shots} images a class, {draws} draws, tested on all others", None
    return everything, probe_test(parts, seed), f"{len(parts[-1]):,} test images", None


def _cross_validated(
    model: "ConvNet", images: "DataSet", sources: "list[Source]", asked: "Folds", seed: int, running: "Execution"
) -> "tuple[Features, Draws, str, OutOfFold]":
    from compound.data.folds import folded
    from compound.evaluation import Evaluation
    from compound.evaluation.folds import of_all
    from compound.training.probe import features, out_of_fold

    divided = folded(images, asked.count, seed, asked.group, sources)
    everything = features(model, divided.source, len(images.classes), running)
    fold = divided.fold[everything.indices.numpy()]
    found, probabilities = out_of_fold(everything, fold, seed)
    result = Evaluation(images.classes, probabilities, everything.labels, everything.indices, [])
    how = f"{asked.count}-fold cross-validation of {len(everything):,} images"
    told = of_all(divided, result, f"linear probe of {model.network.name}")
    if told.groups < len(everything):
        how += f" in {told.groups:,} groups"
    return everything, found, how, told
