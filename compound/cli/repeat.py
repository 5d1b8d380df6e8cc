"""`compound repeat`: a run once more from its start."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from compound.cli.answers import Json, answer, note
from compound.cli.train import only_first, result_text
from compound.verbs import repeat as verb


def repeat(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory, whatever made it.")],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="The new run directory; default RUN-again.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, …; default as the run was started.")] = None,
    json: Json = False,
) -> None:
    """Train as a run was trained, from its start: the same bits on the same machine; nothing is measured again.

    Only a run whose end was moved to keep its minutes ends otherwise, and says so.
    """
    from compound.training import open_run
    from compound.training.setup import setup_of

    setup = setup_of(open_run(run), progress=not json)
    if device:
        setup = replace(setup, execution=replace(setup.execution, device=device))
    trained = verb.repeat(run, out, setup=setup, say=note)
    only_first()
    answer(json, trained.to_json(), result_text(trained))
