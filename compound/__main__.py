"""`python -m compound` is the command `compound`."""

from compound.cli import command

command()
