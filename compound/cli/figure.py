"""`compound figure`: a figure of the paper, from print and counted cost or from a study of one's own."""

from pathlib import Path
from typing import Annotated

import typer

from compound.cli.answers import Json, answer
from compound.cli.options.networks import RuleName
from compound.verbs import figure as verb


def figure(
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="1, 2, 5 or 8; of a study 1, 3, 4, 5, 6 or 8.")],
    study: Annotated[Path | None, typer.Argument(metavar="STUDY", help="The folder of a study.")] = None,
    network: Annotated[
        list[str] | None, typer.Option("--network", help="What Figure 2 draws, repeatable; default efficientnet-b0.")
    ] = None,
    phi: Annotated[float, typer.Option(help="The φ of Figure 2's scaled networks.")] = 2.0,
    rule: RuleName = "compound",
    out: Annotated[Path | None, typer.Option("-o", "--out", help="An .svg or .png; default figure-N.svg.")] = None,
    json: Json = False,
) -> None:
    """Draw a figure of the paper (Tan & Le 2019)."""
    drawn = verb.figure(number, study, networks=network or (), phi=phi, rule=rule, out=out)
    answer(json, drawn.to_json(), f"{drawn.picture.caption}\nwritten to {drawn.out}")
