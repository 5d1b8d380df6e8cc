"""The options that say where and how a network runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compound.cli.options import with_options

if TYPE_CHECKING:
    from compound.execution import Execution

Workers = Annotated[int | None, typer.Option(min=0, help="Processes that load images; default by the kind of data.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, …")]
DamagedLimit = Annotated[float, typer.Option(help="Share of unreadable images that stops the run.")]
Log = Annotated[Path | None, typer.Option(help="Add each answer's class and score to this file, for compound drift.")]


@dataclass(frozen=True)
class ExecutionOptions:
    """A verb with a parameter of this type has all of these as options (see `with_execution`)."""

    batch: Annotated[int, typer.Option(min=1, help="Images loaded at once; no figure depends on it.")] = 128
    workers: Workers = None
    device: Device = "auto"
    damaged_limit: DamagedLimit = 0.01

    def execution(self) -> "Execution":
        from compound.execution import Execution

        return Execution(self.device, self.workers, self.batch, damaged_limit=self.damaged_limit)


with_execution = with_options(ExecutionOptions)
