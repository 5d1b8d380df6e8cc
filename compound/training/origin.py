"""The weights that a run started from, as run.yaml keeps them, so that it can be repeated and its source checked."""

import os

from compound.files import sha256
from compound.network import Network
from compound.nn import best_published, weights_file
from compound.nn.choice import AUTO
from compound.training.start import FRESH, Start


def origin(start: Start, network: Network) -> dict[str, str] | None:
    """What `start` was: how its weights are used, their name, file and SHA-256; None where nothing was given.

    `auto` is remembered as the name that it stood for.
    """
    if start == FRESH:
        return None
    how, given = ("weights", start.weights) if start.weights is not None else ("inherit", start.inherited)
    name = best_published(network=network).weights if str(given) == AUTO else str(given)
    file = weights_file(name)
    return {how: name, "file": os.path.abspath(file), "sha256": sha256(file)}


def start_of(origin: dict[str, str] | None) -> Start:
    """The start that `origin` remembers."""
    return Start(origin.get("weights"), origin.get("inherit")) if origin else FRESH
