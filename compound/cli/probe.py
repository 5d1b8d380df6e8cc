"""`compound probe`: how far a pretrained network's features go with a linear classifier, before any training."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compound.cli.common import Json, answer, note
from compound.cli.execution import ExecutionOptions, with_execution
from compound.cli.training import Data, Download, Root
from compound.errors import UsageError
from compound.verbs.given import find_network

if TYPE_CHECKING:
    from compound.data import DataSet, Source

Network = Annotated[
    str, typer.Argument(metavar="NETWORK", help="A run, a published name, or a network's name with --weights.")
]


@with_execution
def probe(
    network: Network,
    data: Data,
    weights: Annotated[
        str | None, typer.Option(help="The weights of NETWORK: a file or a published name; random: fresh ones.")
    ] = None,
    folds: Annotated[int | None, typer.Option(min=2, help="Cross-validate over all images, e.g. 5.")] = None,
    shots: Annotated[int | None, typer.Option(min=1, help="Learn from so many images a class, e.g. 5.")] = None,
    draws: Annotated[int, typer.Option(min=1, help="Random choices of --shots.")] = 20,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Write the network with the new classifier.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Images at once.")] = 64,
    seed: Annotated[int, typer.Option(help="Seed of folds, shots and of random weights.")] = 0,
    *,
    running: ExecutionOptions,
    root: Root = None,
    download: Download = False,
    json: Json = False,
) -> None:
    """Fit a linear classifier on frozen features; test images, k folds or few shots say how good it is."""
    from compound.data import DataSpec
    from compound.nn import build, load_weights, save_weights
    from compound.training.doubts import doubts
    from compound.training.probe import classified, cross_validate, features, few_shot, joined, probe_test

    if folds is not None and shots is not None:
        raise UsageError("--folds and --shots are two ways to measure; give one of them")
    if weights == "random":
        model = build(find_network(network), seed=seed)
    else:
        model, _ = load_weights(weights or network, find_network(network) if weights else None)
    images = DataSpec(data, model.channels, seed=seed, root=root, download=download).open()
    if images.several:
        raise UsageError(f"{images.name} has several labels an image, and a probe measures one; use compound train")
    if weights not in (None, "random"):
        for doubt in doubts(str(weights), model.network, images):
            note(f"warning: {doubt}")
    classes = len(images.classes)
    execution = replace(running.execution(), batch=batch)
    images, sources = apart_from(str(weights or network), images, whole=folds is not None or shots is not None)
    parts = [features(model, part, execution) for part in sources if len(part)]
    everything = joined(parts)
    value: dict[str, Any] = {"network": model.network.name, "weights": weights or network, "data": images.name}
    value |= {"classes": classes, "images": len(everything)}
    value["majority"] = everything.labels.bincount().max().item() / len(everything)
    if folds is not None:
        found = cross_validate(everything, classes, folds, seed)
        how = f"{folds}-fold cross-validation of {len(everything):,} images"
    elif shots is not None:
        found = few_shot(everything, classes, shots, draws, seed)
        how = f"{shots} images a class, {draws} draws, tested on all others"
    else:
        found = probe_test(parts, classes, seed)
        how = f"{len(parts[-1]):,} test images"
    low, high = found.interval()
    value |= {"accuracy": found.mean, "interval": [low, high], "accuracies": found.accuracies}
    value["penalties"] = found.penalties
    lines = [f"probe {found.mean:.2%} (95 % interval {low:.2%} to {high:.2%}), {how}; majority {value['majority']:.1%}"]
    if out is not None:
        value["out"] = str(save_weights(classified(model, everything, classes, seed), out, images.classes))
        lines.append(f"{model.network.name} with the classifier of all images: {out}")
    answer(json, value, "\n".join(lines))


def apart_from(model: str, images: "DataSet", whole: bool) -> "tuple[DataSet, list[Source]]":
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
        note(sentence)
    return parts, sources
