"""The options that choose a network, a rule and what is counted, and the order of NETWORK and DATA."""

from pathlib import Path
from typing import Annotated

import typer

from compound.errors import UsageError
from compound.scaling import RULES

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
