"""Folds of training: a run, and beside it a training for each fold of the images, judged by that fold alone.

folds/1, folds/2, …       run directories, each trained without its fold, which is its test
folds/out-of-fold.npz     what each image was given by the model that never saw it (`compound.evaluation.folds`)
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from compound.errors import InUseError, UsageError
from compound.network import Network
from compound.verbs.given import Say, silent

if TYPE_CHECKING:
    from compound.data import DataSet
    from compound.data.folds import Folded, Folds
    from compound.evaluation.folds import OutOfFold
    from compound.training import Recipe, Run, Setup
    from compound.verbs.train import Trained

WAIT = 2.0  # s between two looks at what another process trains


def divide(folds: "Folds | int | None", images: "DataSet", recipe: "Recipe", setup: "Setup") -> "Folded | None":
    """The folds that are asked for, before anything is trained. Raises `UsageError` where they would not be honest."""
    from compound.data.folds import Folds, folded

    if folds is None:
        return None
    asked = Folds(folds) if isinstance(folds, int) else folds
    divided = folded(images, asked.count, images.spec.seed, asked.group)
    refuse_learned(divided, recipe, setup)
    return divided


def remembered(run: "Run", folds: "Folds | int | None") -> "Run":
    """The run with the folds that were asked for beside it, saved, so that it goes on with them."""
    from compound.data.folds import Folds
    from compound.training.setup import FOLDS

    if folds is None:
        return run
    asked = Folds(folds) if isinstance(folds, int) else folds
    kept = {"count": asked.count} | ({"group": asked.group} if asked.group else {})
    return replace(run, setup={**(run.setup or {}), FOLDS: kept}).save()


def folds_of(run: "Run") -> "Folds | None":
    """The folds that a run was begun with."""
    from compound.data.folds import Folds
    from compound.mapping import from_mapping
    from compound.training.setup import FOLDS

    given = (run.setup or {}).get(FOLDS)
    return None if given is None else from_mapping(Folds, given, f"{run.path / 'run.yaml'}: setup: folds")


def finish_folds(
    divided: "Folded", network: Network, recipe: "Recipe", run: "Run", images: "DataSet", setup: "Setup", say: Say
) -> "Trained":
    """Train the run to its end, and beside it `network` by the same recipe once for each fold.

    Processes that are told to resume one run share its trainings: each takes what no other has, waits for the others,
    and all end with the whole.
    """
    from compound.training import Interrupted
    from compound.training.run import resume_command
    from compound.verbs.train import begin, finish

    done: dict[int, Trained] = {}

    def train(number: int) -> None:
        if number == 0:
            done[0] = finish(run, images, setup)
            return
        own, apart = run.folder / "folds" / str(number), divided.without(number - 1)
        begun = replace(setup, resume=begun_alike(own, apart), final=None)
        try:
            done[number] = finish(*begin(network, apart, recipe, own, begun, silent), begun)
        except Interrupted:
            where = f"stopped in fold {number} of {divided.folds} and saved"
            raise Interrupted(f"{where}; go on with: {resume_command(run.path)}") from None
        say(f"fold {number} of {divided.folds}: top-1 {done[number].result.top(1):.2%}")

    taken_in_turn(range(divided.folds + 1), train, say)
    return replace(done[0], folded=written(run.folder / "folds", divided, done, network.name))


def begun_alike(run: Path, data: "DataSet") -> bool:
    """Whether there is a run to go on with. Raises `UsageError` where its fold has other images."""
    import numpy as np

    from compound.training import open_run
    from compound.training.seen import read_seen

    if not (run / "run.yaml").is_file():
        return False
    seen = read_seen(open_run(run).images)
    if seen is None or not np.array_equal(np.sort(seen.of("test")), np.sort(data.test.identities())):
        raise UsageError(
            f"{run} was trained without other images: folds, groups or images have changed since; "
            "resume with the same, or choose another --out"
        )
    return True


def refuse_learned(divided: "Folded", recipe: "Recipe", setup: "Setup") -> None:
    """Raise `UsageError` where what training starts from has learned images that a fold is judged by."""
    from compound.training.judging import parts_as_in

    given = (setup.start.weights, setup.start.inherited, recipe.teacher)
    if any(parts_as_in(given, divided.without(number))[1] for number in range(divided.folds)):
        named = next(one for one in given if one is not None)
        raise UsageError(
            f"{named} trained on images that folds are judged by; start from weights of other data, "
            "or leave --folds out"
        )


def taken_in_turn(numbers: range, train: Callable[[int], None], say: Say) -> None:
    """`train` each; what another process is at is waited for, and taken over where that process ends half-way."""
    left, told = list(numbers), False
    while left:
        busy = []
        for number in left:
            try:
                train(number)
            except InUseError as other:
                busy.append(number)
                if not told:
                    say(str(other))
                told = True
        if len(busy) == len(left):
            time.sleep(WAIT)
        left = busy


def written(folder: Path, divided: "Folded", done: "dict[int, Trained]", name: str) -> "OutOfFold":
    from compound.evaluation.folds import FILE, gather, write_folds
    from compound.parallel import is_first

    results = {number - 1: one.result for number, one in done.items() if number}
    found = gather(divided, results, f"{name}, trained once for each of {divided.folds} folds")
    if is_first():
        write_folds(folder / FILE, found)
    return found
