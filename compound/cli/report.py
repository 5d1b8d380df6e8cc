"""`compound report`: one page of runs, searches and studies."""

from pathlib import Path
from typing import Annotated

import typer

from compound.cli.common import Json, answer
from compound.cli.execution import Device


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
    from compound.report import write_report

    made = write_report(places, out, files, images or (), device)
    value = {
        "report": str(out),
        "title": made.title,
        "sections": [section.name for section in made.sections],
        "figures": [picture.name for section in made.sections for picture in section.pictures],
        "tables": [table.name for section in made.sections for table in section.tables],
        "files": str(files) if files else None,
    }
    answer(json, value, f"report {out}" + (f"\nfigures and tables {files}" if files else ""))
