"""What a user may name instead of a value: networks, rules, models, files."""

from collections.abc import Callable, Iterable
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING

from compound.errors import UsageError
from compound.network import Network
from compound.notation import load_network
from compound.scaling import RULES, CompoundRule, Rule, load_rule
from compound.zoo import ZOO

if TYPE_CHECKING:
    from compound.nn import ConvNet, Weights

Place = str | PathLike[str]
Say = Callable[[str], None]  # told what a verb warns of, and how it goes


def silent(text: str) -> None:
    """Tell nobody."""


def find_network(given: Network | Place) -> Network:
    """A network, or the one of a YAML file, a run directory, or the zoo."""
    if isinstance(given, Network):
        return given
    path = Path(given)
    if path.suffix in (".yaml", ".yml"):
        return load_network(path)
    if (path / "network.yaml").is_file():
        return load_network(path / "network.yaml")
    return ZOO[fspath(given)]


def find_rule(given: Rule | str) -> Rule:
    """A rule, or one by name, from a file, or the compound rule of the three coefficients given."""
    if not isinstance(given, str):
        return given
    if given in RULES:
        return RULES[given]
    if given.endswith((".yaml", ".yml")):
        return load_rule(given)
    try:
        alpha, beta, gamma = (float(word) for word in given.split(","))
    except ValueError:
        raise UsageError(
            f"--rule {given!r} is unknown; use {', '.join(RULES)}, α,β,γ such as 1.2,1.1,1.15, or a file.yaml"
        ) from None
    return CompoundRule(alpha, beta, gamma)


def find_model(model: Place, weights: Place | None = None, *, several: bool = False) -> "tuple[ConvNet, Weights]":
    """A run, a weights file or a published name; or the network `model` with another library's `weights`.

    `several`: whether the caller can do with several labels an image.
    """
    from compound.nn import load_weights

    if weights is None:
        return load_weights(fspath(model), several=several)
    return load_weights(fspath(weights), find_network(model), several=several)


def paths(given: Place | Iterable[Place]) -> list[Path]:
    """One or several."""
    return [Path(given)] if isinstance(given, str | PathLike) else [Path(one) for one in given]
