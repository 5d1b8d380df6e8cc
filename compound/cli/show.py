"""`compound show`: a network's rows, and where its cost lies."""

from typing import Annotated

import typer

from compound.cli.answers import Json, answer, doubt
from compound.cli.options.networks import Channels, Classes, CountedName
from compound.notation import dump_network
from compound.terminal import printable
from compound.verbs import show as verb
from compound.verbs.given import network_to_count


def show(
    network: CountedName,
    by: Annotated[str, typer.Option(help="Cost by stage, block or operator.")] = "stage",
    yaml: Annotated[bool, typer.Option("--yaml", help="Print the network file and nothing else.")] = False,
    classes: Classes = None,
    channels: Channels = None,
    json: Json = False,
) -> None:
    """Show a network as the paper's Table 1 does, with its cost by stage, block or operator."""
    shown = verb.show(network_to_count(network, classes, channels), by)
    if yaml and not json:
        print(printable(dump_network(shown.network)), end="")
        return
    doubt(shown.network)
    answer(json, shown.to_json(), verb.show_text(shown))
