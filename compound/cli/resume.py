"""`compound resume`: a run, a search, a study or a shrinking that was stopped, to its end."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from compound.cli.answers import Json, answer, note
from compound.cli.train import only_first, result_text
from compound.documents import damaged, read_json
from compound.errors import UsageError
from compound.trials.sharing import COMMAND, without_out
from compound.verbs import resume as verb

SEARCHES = ("search", "study", "shrink")  # the verbs that go on when they are asked for again


def resume(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run, a search or a study.")],
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, …; default as the run was started.")] = None,
    json: Json = False,
) -> None:
    """Go on with a run, a search or a study that was stopped, as it was started: nothing else need be given."""
    if (run / COMMAND).is_file() and not (run / "run.yaml").is_file():
        raise typer.Exit(_ask_again(run, device, json))
    from compound.training import open_run
    from compound.training.setup import setup_of

    setup = setup_of(open_run(run), progress=not json)
    if device:
        setup = replace(setup, execution=replace(setup.execution, device=device))
    trained = verb.resume(run, setup=setup, say=note)
    only_first()
    answer(json, trained.to_json(), result_text(trained))


def _ask_again(folder: Path, device: str | None, json: bool) -> int:
    """Ask for a search or a study as it was asked for, in the same folder; the exit code."""
    from compound.cli import run

    words = kept_command(folder)
    words += [*(["--device", device] if device else []), *(["--json"] if json and "--json" not in words else [])]
    note(f"going on: {shlex.join(['compound', *words])}")
    return run(words)


def kept_command(folder: Path) -> list[str]:
    """The words with which the search in `folder` was asked for. Raises `UsageError` for what is no such command."""
    file, remedy = folder / COMMAND, "type the command of the search again; it goes on"
    with damaged(file, remedy):
        words = [str(word) for word in read_json(file, remedy)["arguments"]]
    if not words or words[0] not in SEARCHES:
        raise UsageError(f"{file} holds no search and no study; {remedy}")
    if any("***" in word for word in words):
        raise UsageError(f"{folder}: the password of its storage is not kept; {remedy}")
    return [*without_out(words), "--out", str(folder)]
