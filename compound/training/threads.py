"""The threads of a training: sums are divided among them, so their number is part of its bits."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch

from compound.execution import Execution
from compound.notes import note
from compound.parallel import is_first
from compound.training.run import Run


@contextmanager
def own_threads(run: Run, execution: Execution) -> Iterator[Run]:
    """The run with the number of threads it is trained with, which torch has within: those it began with, or those
    that `execution` asks for. Another number than before, or another than torch has by itself, is said."""
    before = torch.get_num_threads()
    taken = execution.threads or run.threads or before
    if is_first() and run.threads is not None and {taken, before} != {run.threads}:
        if taken == run.threads:
            many = f"{taken} thread{'s' * (taken != 1)}"
            said = f"going on with {many} as it began, not {before}: another number ends in other bits"
        else:
            said = f"going on with {taken} threads and not {run.threads} as it began: it ends in other bits"
        note(f"{run.path}: {said}")
    torch.set_num_threads(taken)
    try:
        # What an older version began says nothing, and nothing is claimed of it.
        yield replace(run, threads=taken) if run.threads or run.state == "created" else run
    finally:
        torch.set_num_threads(before)
