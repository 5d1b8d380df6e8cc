"""The command `compound`: a verb a file. What a verb needs is imported when it runs."""

import gc
import io
import os
import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Annotated

import typer

from compound import __version__
from compound.cli.ending import end_with, hear_everywhere, was_stopped
from compound.cli.help.arrangement import VERBS as VERBS
from compound.cli.help.arrangement import arranged, arranged_group, epilog, group_of
from compound.cli.options.absurd import hold_sensible, refuse_empty
from compound.errors import CompoundError, Stopped
from compound.imports import spare_imports
from compound.terminal import tell, tell_error

SAME = {"val": "evaluate"}  # names that other libraries have for a verb

# Which extra brings a package; all others come with `train`.
EXTRAS = {
    "optuna": "search",
    "scipy": "search",
    "onnx": "deploy",
    "onnxscript": "deploy",
    "onnxruntime": "deploy",
    "openvino": "deploy",
    "nncf": "deploy",
    "huggingface_hub": "hub",
    "fastapi": "serve",
    "starlette": "serve",
    "uvicorn": "serve",
    "h11": "serve",
    "prometheus_client": "serve",
    "python_multipart": "serve",
    "braceexpand": "shards",
    "fontTools": "draw",
    "resvg_py": "draw",
}


def _print_version(asked: bool) -> None:
    if asked:
        print(f"compound {__version__}")
        raise typer.Exit


def application(verbs: Iterable[str] = VERBS, full: bool = False) -> typer.Typer:
    """The command with the given verbs; the function (or `Typer`) of a verb goes by the name of its file.

    Help shows all options of the verbs that train where `full` asks for it, else the everyday ones.
    """
    app = typer.Typer(
        name="compound",
        help="Scale a ConvNet to a budget, train it, and use it. Start with: compound fit fashion6k",
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
    )
    app.callback()(_before_verbs)  # without it, Typer takes a single verb for the whole command
    for verb in verbs:
        found = getattr(import_module(f"compound.cli.{verb}"), verb)
        if isinstance(found, typer.Typer):  # a verb with verbs of its own
            app.add_typer(arranged_group(verb, found, full), name=verb, rich_help_panel=group_of(verb))
        else:
            app.command(rich_help_panel=group_of(verb), epilog=epilog(verb, full))(arranged(verb, found, full))
    return app


def _before_verbs(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """What stands before a verb."""


def before_torch() -> None:
    """What a process of its own is told before it imports torch."""
    # libgomp's threads wait by spinning 300,000 times before they sleep. Beside another busy process that costs a
    # two-core machine nearly all its speed; 10,000 is as fast on a quiet one (docs/decisions/008-time-as-a-budget.md).
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    # torch, torchvision and Lightning make a million objects and no garbage; looking for it every 700 objects was a
    # quarter of the 5 s that importing them takes.
    gc.set_threshold(50_000, 10, 10)
    spare_imports()


def command() -> None:
    """`main` in a process of its own, which no signal keeps from ending in order."""
    hear_everywhere()
    main(end_with)


def main(known: Callable[[int], object] = lambda code: None) -> None:
    """Run the command line; a failure is one sentence on standard error and an exit code (2 usage, 1 failure).

    `known` hears the code before the process ends.
    """
    before_torch()
    for stream in (sys.stdout, sys.stderr):  # file names need not be text
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    debug = "--debug" in sys.argv
    code = run([word for word in sys.argv[1:] if word != "--debug"], debug)
    known(code)
    parallel = sys.modules.get("compound.parallel")
    if parallel and parallel.size() > 1:
        parallel.end_process(code)
    sys.exit(code)


def run(arguments: list[str], debug: bool = False) -> int:
    """The exit code of a command. Raises what went wrong where `debug` asks for it."""
    arguments = [SAME.get(word, word) if place == 0 else word for place, word in enumerate(arguments)]
    full = "--help" in arguments and "--all" in arguments
    if full:
        arguments.remove("--all")
    try:
        refuse_empty(arguments)
        # One verb is imported where it is named; help, completion and a misspelt verb need all of them.
        app = application(arguments[:1] if arguments and arguments[0] in VERBS else VERBS, full)
        hold_sensible(command := typer.main.get_command(app))
        command(arguments)
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else 1 if left.code else 0
    except BrokenPipeError:
        return 0
    except Stopped as error:
        if debug:
            raise
        tell(str(error))
        return error.exit_code
    except BaseException as error:
        if was_stopped(error):
            print("stopped", file=sys.stderr)
            return 130
        if debug or not isinstance(error, Exception):
            raise
        return tell_failure(error)
    return 0


def tell_failure(error: Exception) -> int:
    """Say what went wrong in one sentence; the exit code."""
    if isinstance(error, CompoundError):
        tell_error(str(error))
        return error.exit_code
    if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("compound"):
        extra = EXTRAS.get((error.name or "").partition(".")[0], "train")
        remedy = f"run: pip install 'compound[{extra}]'"
        tell_error(f"this verb needs {error.name}, which is not installed; {remedy}")
        return 1
    tell_error(f"{type(error).__name__}: {error} (run again with --debug for the traceback)")
    return 1
