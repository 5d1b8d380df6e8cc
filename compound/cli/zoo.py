"""`compound zoo`: the networks there are, with what they cost."""

from typing import Annotated

import typer

from compound.cli.answers import Json, answer
from compound.cost import CONVENTION, cost_fields
from compound.verbs.show import list_networks
from compound.zoo import ZOO


def zoo(
    like: Annotated[str, typer.Argument(help="Only names that contain this.")] = "",
    json: Json = False,
) -> None:
    """List the networks of the zoo with their counted cost."""
    rows = [(ZOO[name], counted) for name, counted in list_networks(like).items()]
    lines = [CONVENTION, f"{'network':<22} {'px':>4} {'params':>12} {'MACs':>16} {'activations':>12}"]
    lines += [f"{n.name:<22} {n.resolution:>4} {c.params:>12,} {c.macs:>16,} {c.activations:>12,}" for n, c in rows]
    answer(json, {"networks": [cost_fields(*row) for row in rows]}, "\n".join(lines))
