"""What several verbs share: options, the choice of network and rule, and the two ways to answer."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from compound.errors import UsageError
from compound.network import Network
from compound.notes import aloud
from compound.scaling import RULES
from compound.terminal import printable

NetworkName = Annotated[
    str,
    typer.Argument(metavar="NETWORK", help="A name from `compound zoo`, a network file, a weights file, or a run."),
]
CountedName = Annotated[
    str,
    typer.Argument(
        metavar="NETWORK",
        help="A name from `compound zoo`, a network file, a run, or weights: a file or a published name.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Classes = Annotated[int | None, typer.Option(min=1, help="Classes that are counted; default those of NETWORK.")]
Channels = Annotated[int | None, typer.Option(min=1, help="Image channels that are counted; default those of NETWORK.")]
RuleName = Annotated[str, typer.Option("--rule", help=f"{', '.join(RULES)}; α,β,γ; or a rule file (YAML).")]
Snap = Annotated[
    int | None,
    typer.Option(min=1, help="Move the resolution to the nearest multiple, e.g. of 32."),
]


def in_order(verb: str, network: str, data: str) -> None:
    """Raise `UsageError` where a network and a data set stand in each other's place."""
    if is_network(data) and not is_network(network):
        raise UsageError(
            f"{data!r} is a network and {network!r} is not; the network comes first: compound {verb} {data} {network}"
        )


def is_network(word: str) -> bool:
    """Whether a word names a network, and not data: by the zoo, a run directory, or the ending of a file."""
    from compound.zoo import ZOO

    path = Path(word)
    if path.suffix in (".yaml", ".yml", ".safetensors") or (path / "network.yaml").is_file():
        return True
    return not path.exists() and word in ZOO


def answer(as_json: bool, value: dict[str, Any], text: str) -> None:
    """Print `value` as the one JSON object, or else `text`."""
    print(printable(json.dumps(value, ensure_ascii=False) if as_json else text))


note = aloud  # something beside the answer


def doubt(network: Network) -> None:
    """Say what is valid but unlikely to be meant."""
    for warning in network.warnings():
        note(f"warning: {warning}")
