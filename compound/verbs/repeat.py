"""`compound.repeat`: a run once more from its start, in another folder."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from compound.errors import UsageError
from compound.files import read_regular, sha256, write_bytes
from compound.verbs.fit import PLAN, write_page
from compound.verbs.folds import divide, finish_folds, folds_of, remembered
from compound.verbs.given import Place, Say, heard, silent
from compound.verbs.train import Trained, begin, finish, next_place

if TYPE_CHECKING:
    from compound.training import Recipe, Run, Setup

LARGEST_PLAN = 2**24  # bytes


@heard
def repeat(run: Place, out: Place | None = None, *, setup: "Setup | None" = None, say: Say = silent) -> Trained:
    """Train as a run was trained: its network, images in their parts, recipe, weights to start from, seed and threads.

    On the same machine with the same software the result has the same bits. What was measured for the run (rate,
    batch, epochs, precision) is taken from it and not measured again. A run of `compound.fit` gets its page.

    Args:
        run: a run, whatever made it; a run of `search` or `study` too.
        out: the new run; by default `RUN-again`, or the first of `RUN-again-2`, … without a run.
        setup: where it runs and what it tells; by default as the run was set up.
        say: told of doubts and warnings.

    Raises `UsageError` where there is no run, where images went or are other ones, and where the weights that it
    started from are.
    """
    from compound.parallel import from_first, is_first
    from compound.training import open_run
    from compound.training.open import going_on
    from compound.training.setup import setup_of

    found = open_run(Path(run))
    setup = as_begun(found, setup or setup_of(found))
    recipe = settled(found.recipe)
    if found.recipe.minutes is not None and moved(found):
        say(f"warning: the end of {found.path} was moved on its way to keep its minutes, so its rates were others")
    folds, every = folds_of(found), found.spec.open()
    divided = divide(folds, every, recipe, setup)
    usual = found.path.with_name(f"{found.path.name}-again")
    place = out if out is not None else from_first(lambda: next_place(usual, False, say))
    new, images = begin(found.network, going_on(found, every, say=True), recipe, place, setup, say)
    new = remembered(new, folds)
    fitted = (found.path / PLAN).is_file()
    if fitted and is_first():
        write_bytes(new.path / PLAN, read_regular(found.path / PLAN, LARGEST_PLAN))
    if divided:
        trained = finish_folds(divided, found.network, recipe, new, images, setup, say)
    else:
        trained = finish(new, images, setup)
    return replace(trained, report=write_page(trained, images)) if fitted else trained


def settled(recipe: "Recipe") -> "Recipe":
    """The recipe as it was trained by: what was measured stands in it, and is not measured again."""
    return replace(recipe, find=(), minutes=None)


def as_begun(run: "Run", setup: "Setup") -> "Setup":
    """The setup with which `run` begins anew. Raises `UsageError` where the weights it started from are other ones."""
    from compound.nn import weights_file
    from compound.training.final import is_unseen
    from compound.training.origin import start_of

    start = replace(start_of(run.start), of=setup.start.of)
    if run.start and "sha256" in run.start:
        given = str(start.weights if start.weights is not None else start.inherited)
        if not weights_file(given).is_file():  # a relative name, and the folder one is in is another
            given = run.start["file"]
            start = replace(start, weights=given) if start.weights is not None else replace(start, inherited=given)
        if not (file := weights_file(given)).is_file():
            raise UsageError(f"{given}, which {run.path} started from, is not there; put it back, or train anew")
        digest = sha256(file)
        if digest != run.start["sha256"]:
            raise UsageError(
                f"{given} is not what {run.path} started from (SHA-256 {digest[:12]}…, then "
                f"{run.start['sha256'][:12]}…); put back what it was, or train with --weights"
            )
    execution = replace(setup.execution, threads=setup.execution.threads or run.threads)
    final = False if is_unseen(run) else setup.final
    return replace(setup, start=start, execution=execution, final=final, seed=run.seed, resume=False)


def moved(run: "Run") -> bool:
    """Whether the rates of a run are not those of its recipe's schedule, by the last step of each epoch."""
    from compound.documents import damaged, read_records
    from compound.training import rate_at

    if not run.metrics.is_file():
        return False
    steps = max(int(run.data["images"]["train"]) // run.recipe.batch, 1)
    with damaged(run.metrics, "delete it"):
        rates = [float(row["rate"]) for row in read_records(run.metrics, "delete it", "rate")]
    planned = [rate_at(run.recipe, steps * (epoch + 1) - 1, steps) for epoch in range(len(rates))]
    # A rate that was halved, or that a part has for its depth, is a share of the schedule's.
    shares = [one / other for one, other in zip(rates, planned, strict=True) if other]
    return any(abs(share - shares[0]) > 1e-6 * abs(shares[0]) for share in shares)
