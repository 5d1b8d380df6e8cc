"""`compound resume`: a run that was stopped, to its end."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from compound.cli.common import Json, answer, note
from compound.cli.train import only_first, result_text
from compound.verbs import resume as verb


def resume(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The directory of a run that was stopped.")],
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, …; default as the run was started.")] = None,
    json: Json = False,
) -> None:
    """Go on with a run that was stopped, as it was started: nothing else need be given."""
    from compound.training import open_run
    from compound.training.setup import setup_of

    setup = setup_of(open_run(run), progress=not json)
    if device:
        setup = replace(setup, execution=replace(setup.execution, device=device))
    trained = verb.resume(run, setup=setup, say=note)
    only_first()
    text = result_text(trained) + (f"\nreport {trained.report}" if trained.report else "")
    answer(json, trained.to_json(), text)
