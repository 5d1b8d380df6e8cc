"""`compound report`: one page of runs, searches and studies."""

from pathlib import Path
from typing import Annotated

import typer

from compound.cli.answers import Json, answer, note
from compound.cli.options.execution import Device
from compound.verbs import report as verb


def report(
    places: Annotated[
        list[Path], typer.Argument(metavar="PLACE…", help="Run directories, searches' and studies' folders.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="The page.")] = Path("report.html"),
    files: Annotated[
        Path | None, typer.Option("--files", help="A folder for every figure (SVG, PNG) and table (CSV, LaTeX).")
    ] = None,
    images: Annotated[
        list[Path] | None, typer.Option("--images", help="Photos, repeatable: where all runs look (Figure 7).")
    ] = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Write one self-contained page of what was run: figures, tables with intervals, and how to repeat it."""
    made = verb.report(places, out, files=files, images=images or (), device=device, say=note)
    answer(json, made.to_json(), f"report {out}" + (f"\nfigures and tables {files}" if files else ""))
