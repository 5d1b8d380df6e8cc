"""`compound search`: searches over networks; each is one Optuna study that any number of processes can share."""

import typer

from compound.cli.searches.architecture import architecture, predict, validate
from compound.cli.searches.coefficients import coefficients
from compound.cli.searches.transfer import transfer

search = typer.Typer(
    help="Search for coefficients of scaling, for a baseline, or for how to fine-tune.", no_args_is_help=True
)
for verb in (coefficients, architecture, validate, predict, transfer):
    search.command()(verb)
