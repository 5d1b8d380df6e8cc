"""What several verbs share: options, the choice of network and rule, and the two ways to answer."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from compound.cost import Cost
from compound.errors import UsageError
from compound.network import Network
from compound.notation import load_network, load_run_network
from compound.scaling import RULES, CompoundRule, Rule, Scaling, load_rule
from compound.zoo import ZOO

NetworkName = Annotated[
    str, typer.Argument(metavar="NETWORK", help="A name from `compound zoo`, a network YAML file, or a run directory.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Classes = Annotated[int | None, typer.Option(min=1, help="Classes that are counted; default those of NETWORK.")]
Channels = Annotated[int | None, typer.Option(min=1, help="Image channels that are counted; default those of NETWORK.")]
RuleName = Annotated[str, typer.Option("--rule", help=f"{', '.join(RULES)}; α,β,γ; or a rule file (YAML).")]


def find_network(name: str, classes: int | None = None, channels: int | None = None) -> Network:
    """A network from a YAML file, a run directory, or the zoo; for other `classes` and `channels` where given."""
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        found = load_network(path)
    elif (path / "network.yaml").is_file():
        found = load_run_network(path)
    else:
        found = ZOO[name]
    asked = {"classes": classes, "channels": channels}
    return found.with_(**{name: value for name, value in asked.items() if value is not None})


def find_rule(name: str) -> Rule:
    """A rule by name, from a file, or the compound rule of the three coefficients given."""
    if name in RULES:
        return RULES[name]
    if name.endswith((".yaml", ".yml")):
        return load_rule(name)
    try:
        alpha, beta, gamma = (float(word) for word in name.split(","))
    except ValueError:
        raise UsageError(
            f"--rule {name!r} is unknown; use {', '.join(RULES)}, α,β,γ such as 1.2,1.1,1.15, or a file.yaml"
        ) from None
    return CompoundRule(alpha, beta, gamma)


def answer(as_json: bool, value: dict[str, Any], text: str) -> None:
    """Print `value` as the one JSON object, or else `text`."""
    print(json.dumps(value, ensure_ascii=False) if as_json else text)


def note(text: str) -> None:
    """Something beside the answer, on standard error."""
    print(text, file=sys.stderr)


def cost_fields(network: Network, counted: Cost) -> dict[str, Any]:
    """A network's cost under the names every verb uses."""
    return {
        "name": network.name,
        "resolution": network.resolution,
        "params": counted.params,
        "macs": counted.macs,
        "activations": counted.activations,
        "memory": counted.memory(),
        **({"latency": counted.latency} if counted.latency else {}),
    }


def scaling_fields(phi: float | None, scaling: Scaling) -> dict[str, Any]:
    return {
        "phi": phi,
        "depth": scaling.depth,
        "width": scaling.width,
        "resolution_factor": scaling.resolution,
    }
