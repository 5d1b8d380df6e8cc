"""The two ways to answer, JSON and text; beside it, the longer texts, a file for each kind of answer."""

import json
from typing import Annotated, Any

import typer

from compound.network import Network
from compound.notes import aloud
from compound.terminal import printable

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def answer(as_json: bool, value: dict[str, Any], text: str) -> None:
    """Print `value` as the one JSON object, or else `text`."""
    print(printable(json.dumps(value, ensure_ascii=False) if as_json else text))


note = aloud  # something beside the answer


def doubt(network: Network) -> None:
    """Say what is valid but unlikely to be meant."""
    for warning in network.warnings():
        note(f"warning: {warning}")
