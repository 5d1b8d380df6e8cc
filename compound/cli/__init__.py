"""The command `compound`: a verb a file. What a verb needs is imported when it runs."""

import sys

import typer

from compound.cli import plan, scale, show, zoo
from compound.errors import CompoundError

app = typer.Typer(
    name="compound",
    help="Scale a ConvNet to a budget, train it, and use it. Start with: compound fit fashion6k",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)
for verb in (zoo.zoo, show.show, scale.scale, plan.plan):
    app.command()(verb)


def main() -> None:
    """Run the command line; a failure is one sentence on standard error and an exit code (2 usage, 1 failure)."""
    debug = "--debug" in sys.argv
    arguments = [word for word in sys.argv[1:] if word != "--debug"]
    try:
        app(arguments)
    except CompoundError as error:
        if debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        if debug or (error.name or "").startswith("compound"):
            raise
        print(f"error: this verb needs {error.name}, which is not installed; run: pip install 'compound[train]'", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
    except Exception as error:
        if debug:
            raise
        print(f"error: {type(error).__name__}: {error} (run again with --debug for the traceback)", file=sys.stderr)
        sys.exit(1)
