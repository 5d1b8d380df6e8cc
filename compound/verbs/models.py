"""Trained networks, by what a user names them."""

from os import fspath
from pathlib import Path
from typing import TYPE_CHECKING

from compound.files import stands
from compound.verbs.given import Place, Say, find_network

if TYPE_CHECKING:
    from compound.nn import ConvNet, Weights
    from compound.runtimes import Runtime


def find_model(model: Place, weights: Place | None = None, *, several: bool = False) -> "tuple[ConvNet, Weights]":
    """A run, a weights file or a published name; or the network `model` with another library's `weights`.

    `several`: whether the caller can do with several labels an image.
    """
    from compound.nn import load_weights

    if weights is None:
        return load_weights(fspath(model), several=several)
    return load_weights(fspath(weights), find_network(model), several=several)


def find_runner(model: Place, weights: Place | None, runtime: str, say: Say) -> "tuple[ConvNet | Runtime, Weights]":
    """What computes, and what it knows of its classes and images; `runtime` as `compound.predict` takes it."""
    from compound.deploy import CHOICE, export_folder, open_model
    from compound.runtimes import Runtime, open_runtime

    if runtime not in ("auto", "torch"):
        exported = open_runtime(Path(runtime))
        return exported, exported.described
    if weights:
        return find_model(model, weights, several=True)
    opened, described = open_model(fspath(model), runtime, several=True)
    unused = export_folder(fspath(model)) / CHOICE
    if runtime == "auto" and not isinstance(opened, Runtime) and stands(unused):
        say(f"warning: {unused.parent} was exported from other weights and is not used; make it again: compound export")
    return opened, described
