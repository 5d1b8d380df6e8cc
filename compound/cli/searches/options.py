"""The options of every verb that searches, each said once: where trials are kept, who works on them, what is kept."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compound.cli.training import Download, ImageChannels, Root

if TYPE_CHECKING:
    from optuna.pruners import BasePruner

    from compound.data import DataSpec
    from compound.execution import Execution
    from compound.training import Recipe
    from compound.trials import Problem, Search, Strategy

SearchWorkers = Annotated[int | None, typer.Option(min=1, help="Processes here; default one a core, up to 4.")]
SamplerName = Annotated[str, typer.Option("--sampler", help="grid, random, tpe, gp or nsga2.")]
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

    def folder(self, *words: str) -> Path:
        """Where the results go; by default a folder of these words."""
        return self.out or Path("runs") / "-".join(words).replace(" ", "-")

    def search(
        self,
        problem: "Problem",
        journal: Path,
        trials: int,
        strategy: "Strategy",
        seed: int = 0,
        pruner: "BasePruner | None" = None,
    ) -> "Search":
        """The search as asked for; `journal` keeps it where no storage is given."""
        from optuna.pruners import NopPruner

        from compound.trials import Search

        storage, pruner = self.storage or str(journal), pruner or NopPruner()
        return Search(problem, storage, trials, strategy, seed, self.study or "", pruner, self.timeout, self.lease)


def median_pruner(prune: bool) -> "BasePruner | None":
    from optuna.pruners import MedianPruner

    return MedianPruner(n_startup_trials=4, n_warmup_steps=1) if prune else None


def share_cores(workers: int | None, device: str) -> "tuple[int, Execution]":
    """Processes, and how each runs. By default one a core and at most four; a GPU is kept busy by one."""
    from compound.execution import Execution
    from compound.measurement.machine import cores

    crew = workers or (min(cores(), 4) if Execution(device).where.type == "cpu" else 1)
    return crew, Execution(device, threads=max(cores() // crew, 1))


def comparable(recipe: "Recipe") -> "Recipe":
    """The recipe without a precision that is measured: it must not decide between candidates."""
    return replace(recipe, precision="fp32") if recipe.precision == "auto" else recipe
