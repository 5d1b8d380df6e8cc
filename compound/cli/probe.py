"""`compound probe`: how far a pretrained network's features go with a linear classifier, before any training."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compound.cli.answers import Json, answer, note
from compound.cli.options.execution import ExecutionOptions, with_execution
from compound.cli.options.networks import in_order
from compound.cli.options.training import Data, Download, Group, Root, folds_of
from compound.verbs import probe as verb

if TYPE_CHECKING:
    pass

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
    group: Group = None,
    predictions: Annotated[
        Path | None, typer.Option(help="Write what folds say of every image, an .npz for compound data audit.")
    ] = None,
    shots: Annotated[int | None, typer.Option(min=1, help="Learn from so many images a class, e.g. 5.")] = None,
    draws: Annotated[int, typer.Option(min=1, max=10_000, help="Random choices of --shots.")] = 20,
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

    in_order("probe", network, data)
    found = verb.probe(
        network, DataSpec(data, seed=seed, root=root, download=download),
        weights=weights, folds=folds_of(folds, group, predictions), shots=shots, draws=draws, seed=seed, out=out,
        execution=replace(running.execution(), batch=batch), say=note,
    )  # fmt: skip
    low, high = found.interval()
    text = f"probe {found.draws.mean:.2%} (95 % interval {low:.2%} to {high:.2%}), {found.how}"
    text += f"; majority {found.majority:.1%}"
    if found.out:
        text += f"\n{found.network} with the classifier of all images: {out}"
    answer(json, found.to_json(), text)
