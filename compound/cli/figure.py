"""`compound figure`: a figure of the paper, from print and counted cost or from a study of one's own."""

from pathlib import Path
from typing import Annotated

import typer

from compound.cli.common import Json, RuleName, answer
from compound.errors import UsageError
from compound.verbs.given import find_network, find_rule


def figure(
    number: Annotated[int, typer.Argument(help="1, 2, 5 or 8; of a study 1, 3, 4, 5, 6 or 8.")],
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
    from compound.files import ending
    from compound.reporting.paper_figures import paper_figure
    from compound.reporting.picture import FILES, Picture, write_picture
    from compound.reporting.study_figures import study_figure
    from compound.studies import read_study

    path = out or Path(f"figure-{number}.svg")
    ending(path, FILES, "picture")
    if network and number != 2:
        raise UsageError(f"--network is for figure 2, and figure {number} was asked for; leave it out")
    picture: Picture
    if study is not None and number != 2:
        picture = study_figure(read_study(study), number)
    elif study is not None:
        raise UsageError("figure 2 is drawn from networks, not from a study; use --network, repeatable")
    else:
        networks = [find_network(name) for name in network or ["efficientnet-b0"]]
        picture = paper_figure(number, networks, phi, find_rule(rule))
    write_picture(picture, path)
    value = {"figure": number, "title": picture.title, "caption": picture.caption, "out": str(path)}
    answer(json, value, f"{picture.caption}\nwritten to {path}")
