"""A whole training for somebody who waits for its result: of a study, or of a search's finalist."""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compound.data import DataSet
from compound.execution import Execution
from compound.network import Network
from compound.training.fit import train
from compound.training.open import start_run
from compound.training.recipe import Recipe
from compound.training.run import Run, open_run
from compound.training.session import Interrupted


def whole_run(
    network: Network,
    data: DataSet,
    recipe: Recipe,
    out: Path,
    execution: Execution,
    seed: int,
    final: bool | None = None,
) -> Run:
    """The finished run in `out`: trained, or gone on with where it was cut off, or found. Its checkpoints are gone.

    `final` is that of `train`. SIGTERM ends this process, with a checkpoint for whoever goes on.
    """
    begun = (out / "run.yaml").exists()
    if begun and (known := open_run(out)).state == "done":  # whoever trained it died before it could say so
        return known
    run = start_run(network, data, recipe, out, execution, seed=seed, resume=begun)
    try:
        with not_interrupted():
            run, _ = train(run, data, execution=execution, final=final, quiet=True)
    except Interrupted:
        os._exit(128 + signal.SIGTERM)
    shutil.rmtree(run.checkpoints)
    return run


@contextmanager
def not_interrupted() -> Iterator[None]:
    """Ctrl-C, which a terminal sends to all processes, is for the one that started us to judge."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
