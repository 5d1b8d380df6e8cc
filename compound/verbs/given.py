"""What a user may name instead of a value: networks, rules, files. What is trained is in `compound.verbs.models`."""

import os
from collections.abc import Callable, Iterable
from functools import wraps
from os import PathLike, fspath
from pathlib import Path
from typing import ParamSpec, TypeVar

from compound.budget import Budget
from compound.errors import NetworkError, UsageError
from compound.network import Network
from compound.notation import Unsaid, load_network, load_run_network, load_weights_network
from compound.notes import Say as Say
from compound.notes import heard_by, note
from compound.notes import silent as silent
from compound.places import nearest_run
from compound.scaling import RULES, CompoundRule, Rule, load_rule
from compound.zoo import ZOO

Place = str | PathLike[str]
PUBLISHERS = ("timm/", "torchvision/", "hf:")  # what the names of published weights begin with
P = ParamSpec("P")
T = TypeVar("T")


def heard(verb: Callable[P, T]) -> Callable[P, T]:
    """A verb whose rooms are heard by its own `say`, and not on standard error."""

    @wraps(verb)
    def called(*args: P.args, **given: P.kwargs) -> T:
        say = given.get("say")
        with heard_by(say if callable(say) else silent):
            return verb(*args, **given)

    return called


def check_budget(given: object) -> None:
    """Raise `UsageError` for what is no `Budget`, such as the text that the command takes."""
    if not isinstance(given, Budget):
        raise UsageError(f"budget {given!r} is no Budget; use one such as Budget(macs=200e6)")


def find_network(given: Network | Place, classes: int | None = None, channels: int | None = None) -> Network:
    """A network, or that of a YAML or weights file, a run or the zoo; with `classes` and `channels` where given.

    Raises `NetworkError` for a file that holds none, `UsageError` for an unknown name.
    """
    asked = {"classes": classes, "channels": channels}
    return _named(given).with_(**{name: value for name, value in asked.items() if value is not None})


def _named(given: Network | Place) -> Network:
    if isinstance(given, Network):
        return given
    path = Path(given)
    if (path / "network.yaml").is_file():  # a folder, whatever its name ends in
        return load_run_network(path)
    if path.suffix in (".yaml", ".yml"):
        return load_network(path)
    if path.suffix == ".safetensors":
        return load_weights_network(path)
    if os.sep in fspath(given):
        raise UsageError(f"there is no run or network file {given}; {nearest_run(given)}")
    return ZOO[fspath(given)]


def network_to_count(given: Network | Place, classes: int | None = None, channels: int | None = None) -> Network:
    """As `find_network`, for what is counted and not trained: also of all else that `compound.predict` takes.

    Published weights are not fetched. Another library's file is of the network whose tensors it has, which is noted.
    """
    if not isinstance(given, Network) and _is_others(Path(given)):
        given = _of_weights(given)
    return find_network(given, classes, channels)


def _is_others(path: Path) -> bool:
    """Whether the network can only be told by opening weights, or asking who published them."""
    if not path.exists():
        return str(path).startswith(PUBLISHERS) and path.suffix not in (".yaml", ".yml", ".safetensors", ".pth", ".pt")
    if path.suffix != ".safetensors":
        return path.is_file() and path.suffix not in (".yaml", ".yml")
    try:
        load_weights_network(path)
    except Unsaid:
        return True
    except NetworkError:  # damaged: said by whoever reads it
        return False
    return False


def _of_weights(given: Place) -> Network:
    """Raises `UsageError` where the tensors are of no network of the zoo."""
    from compound.nn.hub import network_of
    from compound.nn.weights import Unnamed

    try:
        return network_of(fspath(given))
    except Unnamed as error:
        if error.network is None:
            raise UsageError(error.with_remedy("")) from None
        note(f"{given} does not say which network it belongs to; its tensors are those of {error.network}")
        return network_of(fspath(given), ZOO[error.network])


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


def paths(given: Place | Iterable[Place]) -> list[Path]:
    """One or several."""
    return [Path(given)] if isinstance(given, str | PathLike) else [Path(one) for one in given]
