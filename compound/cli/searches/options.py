"""The options of every verb that searches, each said once: where trials are kept, who works on them, what is kept."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compound.cli.options.training import Download, ImageChannels, Root
from compound.trials.sharing import Sharing

if TYPE_CHECKING:
    from compound.data import DataSpec

SearchWorkers = Annotated[int | None, typer.Option(min=1, help="Processes here; default one a core, up to 4.")]
SamplerName = Annotated[str, typer.Option("--sampler", help="grid, random, tpe, gp or nsga2.")]
MOST_SEEDS = 1000  # trainings of one network
SearchSeed = Annotated[int, typer.Option(help="Seed of the choices, and of the first training of each candidate.")]
Prune = Annotated[bool, typer.Option("--prune", help="Stop candidates below the median of the others' epochs.")]


@dataclass(frozen=True)
class SearchOptions:
    """Where trials and results are kept, and how images are opened; a verb with a parameter of this type has all of
    these as options (see `with_options`)."""

    storage: Annotated[
        str | None,
        typer.Option(help="A journal file, postgresql://…, mysql://…, grpc://HOST:PORT; default a journal in OUT."),
    ] = None
    study: Annotated[str | None, typer.Option("--study", help="Name of the search in its storage.")] = None
    timeout: Annotated[float | None, typer.Option(help="Seconds after which an evaluation is given up.")] = None
    lease: Annotated[float, typer.Option(min=1, help="Seconds without a sign after which a worker counts as dead.")] = (
        60.0
    )
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Folder of the results.")] = None
    channels: ImageChannels = None
    root: Root = None
    download: Download = False

    def spec(self, where: str, holdout: float, seed: int) -> "DataSpec":
        """The images of `where`, as worker processes open them."""
        from compound.data import DataSpec

        return DataSpec(where, self.channels, holdout, seed, self.root, self.download)

    def sharing(self, workers: int | None, device: str, progress: bool, threads: int | None = None) -> Sharing:
        """Where trials are kept, and who works on them."""
        return Sharing(
            self.storage, self.study or "", self.timeout, self.lease, workers, threads, device, progress,
            tuple(sys.argv[1:]),
        )  # fmt: skip
