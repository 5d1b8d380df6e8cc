"""Trained networks, by what a user names them."""

from os import fspath
from typing import TYPE_CHECKING

from compound.verbs.given import Place, find_network

if TYPE_CHECKING:
    from compound.nn import ConvNet, Weights


def find_model(model: Place, weights: Place | None = None, *, several: bool = False) -> "tuple[ConvNet, Weights]":
    """A run, a weights file or a published name; or the network `model` with another library's `weights`.

    `several`: whether the caller can do with several labels an image.
    """
    from compound.nn import load_weights

    if weights is None:
        return load_weights(fspath(model), several=several)
    return load_weights(fspath(weights), find_network(model), several=several)
