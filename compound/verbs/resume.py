"""`compound.resume`: a run that was stopped, to its end."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from compound.errors import UsageError
from compound.verbs.fit import PLAN, REPORT, write_page
from compound.verbs.folds import divide, finish_folds, folds_of
from compound.verbs.given import Place, Say, heard, silent
from compound.verbs.train import Trained, begin, finish

if TYPE_CHECKING:
    from compound.training import Setup


@heard
def resume(run: Place, *, setup: "Setup | None" = None, say: Say = silent) -> Trained:
    """Go on with a run that was stopped, from its newest checkpoint to its end: the same bits as without the stop.

    Network, data, recipe and seed are the run's own, and so is what its first `setup` said, unless another is given. A
    run of `compound.fit` gets its page.

    Raises `UsageError` where there is no run, where it is finished, and where its data is no longer what it was.
    """
    from compound.evaluation.folds import FILE
    from compound.training import FRESH, open_run
    from compound.training.setup import setup_of

    found = open_run(Path(run))
    folds, fitted = folds_of(found), (found.path / PLAN).is_file()
    ended = found.state == "done" and found.weights.is_file()
    folded = folds is None or (found.path / "folds" / FILE).exists()
    if ended and folded and (not fitted or (found.path / REPORT).exists()):
        raise UsageError(f"{found.path} is finished; see it with: compound report {shlex.quote(str(found.path))}")
    setup = replace(setup or setup_of(found), seed=found.seed, resume=True)
    if any(found.checkpoints.glob("*.ckpt")):  # they have what it started from, and the weights may be gone
        setup = replace(setup, start=FRESH)
    network, recipe, every = found.network, found.recipe, found.spec.open()
    divided = divide(folds, every, recipe, setup)
    going, images = begin(network, every, recipe, found.path, setup, say)
    if divided:
        trained = finish_folds(divided, network, recipe, going, images, setup, say)
    else:
        trained = finish(going, images, setup)
    return replace(trained, report=write_page(trained, images)) if fitted else trained
