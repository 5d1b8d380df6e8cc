"""`train`: a run on its data, from where it stands to its evaluation."""

import os
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from compound.data import DataSet
from compound.errors import UsageError
from compound.evaluation import Evaluation
from compound.execution import Execution
from compound.files import clear_leftovers, locked, make_folder
from compound.measurement.machine import keep_freed_memory
from compound.notes import note
from compound.parallel import from_first, is_first, join
from compound.training.divergence import Diverged
from compound.training.final import refuse_second, refuse_unseen
from compound.training.open import going_on, refuse_undivided
from compound.training.pipelined import pipeline_split
from compound.training.run import Run
from compound.training.session import Safeguards, Session
from compound.training.setup import setup_of
from compound.training.start import FRESH, Start
from compound.training.threads import own_threads

RETRIES = 3  # halvings of the rate after which a training that diverges is given up


def train(
    run: Run,
    data: DataSet,
    *,
    start: Start = FRESH,
    execution: Execution = Execution(),
    safeguards: Safeguards = Safeguards(),
    final: bool | None = None,
    quiet: bool = False,
) -> tuple[Run, Evaluation]:
    """Train the run from where it stands, then evaluate it once on the test images.

    `start` says what a fresh run starts from. `final` True refuses a run that was evaluated on the test images already;
    False leaves them alone and evaluates on the held-out images instead, see `compound.training.final`.

    It trains on the images it began with, in their parts, whatever came to `data` since (see `compound.training.seen`).
    Everything is written into the run directory, which no other process may train meanwhile. With the safeguard
    `on_nan` "retry", a training that diverges goes back to its newest checkpoint `RETRIES` times in a run.

    Processes started by torchrun or srun share every batch of the recipe; process 0 alone writes. The execution's
    `sync_norm` makes their batch norms use the statistics of the whole batch instead of their share; `shard` divides
    weights, gradients, optimiser and average among them (see `compound.training.sharding`), and `pipeline` gives each
    of them consecutive blocks, through which a batch goes in the recipe's `accumulate` parts (see `…pipeline`).

    Raises `Interrupted` after Ctrl-C or SIGTERM, with the checkpoint saved, and `Diverged` when loss, gradients or
    weights are no longer numbers; then nothing of that step is kept.
    """
    # A change of directory on the way, in a callback or another thread, must not divide the run.
    named, run = run.path, replace(run, path=Path(os.path.abspath(run.folder)))
    keep_freed_memory()  # a step makes the same maps again, and fresh pages cost more than many of its operators
    world = join(execution.where)
    from_first(lambda: refuse_unseen(run) if final is None else refuse_second(run))
    with ExitStack() as stack:
        from_first(lambda: _take(run, stack))
        if execution.sync_norm and execution.where.type != "cuda":
            kind = execution.where.type
            raise UsageError(f"--sync-norm needs GPUs: torch's SyncBatchNorm does not run on {kind}; leave it out")
        if execution.shard:
            refuse_undivided(run.recipe, world)
        if execution.pipeline:
            pipeline_split(run.network, run.recipe, world)
        run = stack.enter_context(own_threads(run, execution))
        if run.setup and setup_of(run).execution.deterministic:  # what it began with, whoever goes on with it
            execution = replace(execution, deterministic=True)
        stack.enter_context(execution.algorithms())
        data = going_on(run, data, say=True)
        while True:
            session = Session(run, data, execution, world, safeguards, quiet)
            try:
                trained, evaluation = session.result(session.fit(start), final)
                return replace(trained, path=named), evaluation
            except Diverged as error:
                if safeguards.on_nan != "retry" or run.lowered == RETRIES:
                    raise
                run = replace(run, lowered=run.lowered + 1)
                if is_first():
                    note(f"{error}; going back, with the rate × {0.5**run.lowered:g}")
            finally:
                session.close()


def _take(run: Run, stack: ExitStack) -> None:
    """The run directory for this process until `stack` ends, rid of what a killed one left."""
    make_folder(run.checkpoints)
    stack.enter_context(locked(run.checkpoints / ".lock", str(run.path)))
    for folder in (run.path, run.checkpoints):
        clear_leftovers(folder)
