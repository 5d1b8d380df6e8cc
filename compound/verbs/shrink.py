"""`compound.shrink`: a trained network brought within a budget by every way there is, and which of them wins."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from compound.budget import Budget
from compound.cost import cost
from compound.errors import UsageError
from compound.files import make_folder, write_json
from compound.trials.sharing import COMMAND
from compound.verbs.contest import Contender, Shrunk
from compound.verbs.given import Place, Say, check_budget, heard, silent
from compound.verbs.timed import WHOLE, timed
from compound.verbs.ways import CUTS, PRECISIONS, Way, find_ways, refuse_unknown

if TYPE_CHECKING:
    from compound.data import DataSet
    from compound.evaluation import Evaluation
    from compound.measurement import Turns
    from compound.training import Recipe, Run, Setup

FILE = "shrink.json"  # in the folder of all ways
# Rules by which a network gives way (all dimensions, channels alone, images alone), cuts within it, and precisions.
WAYS = ("compound", "width", "shrink", *CUTS, *PRECISIONS)
MINUTES = 3.0


@heard
def shrink(
    run: Place,
    budget: Budget,
    out: Place | None = None,
    *,
    ways: Sequence[str] = WAYS,
    recipe: "Recipe | None" = None,
    setup: "Setup | None" = None,
    turns: "Turns | None" = None,
    command: Sequence[str] = (),
    say: Say = silent,
) -> Shrunk:
    """Bring a trained network within a budget by several ways, each for the same minutes, and keep the best.

    A way is a rule of scaling, or cuts within the network: the network within the budget begins with what it can have
    of the run and has the run as its teacher (Hinton et al. 2015). Beside them stands the network as it was as a file
    of another precision, which competes where it is no slower than the budget. All are judged by the run's held-out
    images, which none of them was trained on, and timed in one session; the winner alone is then judged by the test
    images.

    Args:
        run: a trained run that holds out images.
        budget: limits of the network (see `compound.Budget`).
        out: a folder for a run a way and shrink.json; by default beside the run.
        ways: names of `compound.scaling.RULES`, of which `shrink` gives up resolution alone; `prune` (blocks narrower
            inside or left out), `layers` (blocks left out); `int8` and `bf16`.
        recipe: of every training; by default the run's own for 3 minutes, with the run as its teacher.
        setup: where they run, their seed, and what is shown. turns: of the timing.
        command: the words that asked for it, which the folder keeps, so that `compound resume` can ask again.
        say: told which way is tried, and which is left out.

    What was trained in `out` is not trained again, and a training that was stopped goes on. Raises `UsageError` where
    the run holds out no images or is within the budget as it is, `BudgetError` where no way leads into the budget, and
    what `compound.train` raises.
    """
    from compound.training import Setup, open_run
    from compound.training.judging import data_of_run

    check_budget(budget)
    whole, setup = open_run(Path(run)), setup or Setup()
    images, _ = data_of_run(whole)
    refuse(whole, images, budget, ways)
    folder = make_folder(Path(out) if out is not None else whole.path.with_name(f"{whole.path.name}-shrunk"))
    if command:
        write_json(folder / COMMAND, {"arguments": list(command)})
    found, left_out = find_ways(whole, images, budget, ways, folder, setup.seed)
    for way, reason in left_out.items():
        say(f"left out: {way}: {reason}")
    recipe = replace(recipe or replace(whole.recipe, minutes=MINUTES), find=(), teacher=str(whole.path))
    contenders = [Contender(WHOLE, whole, held_out(whole, images, setup))]
    for number, (name, step) in enumerate(found.items(), 1):
        say(f"{number} of {len(found)}, {name}: {cost(step.network).macs:,} MACs at {step.network.resolution} px")
        made = trained(step, whole, recipe, folder / name, setup)
        contenders.append(Contender(name, made, held_out(made, images, setup)))
    everyone, runtime, missing = timed(contenders, ways, images, folder, setup, turns)
    result = replace(ranked(everyone, left_out | missing, budget), runtime=runtime)
    result = replace(result, test=_final(result.winner, images, setup, say))
    write_json(folder / FILE, result.to_json())
    return result


def refuse(run: "Run", images: "DataSet", budget: Budget, ways: Sequence[str]) -> None:
    """Raise `UsageError` for what there is nothing to compare by, or nothing to do."""
    if run.state != "done" or not run.weights.is_file():
        raise UsageError(
            f"{run.path} is not trained to its end; go on with: compound resume {shlex.quote(str(run.path))}"
        )
    if images.several:
        raise UsageError(f"{images.name} has several labels an image, which ways cannot be compared by")
    if not len(images.holdout):
        raise UsageError(
            f"{run.path} holds out no images, and by others ways cannot be compared; train with e.g. --holdout 0.1"
        )
    refuse_unknown(ways)
    if budget.admits(budget.cost(run.network)):
        raise UsageError(f"{run.path} is within the budget as it is; give a smaller one")


def trained(way: Way, whole: "Run", recipe: "Recipe", place: Path, setup: "Setup") -> "Run":
    """The run of one way: done, gone on with, or begun from what `whole` has learned."""
    from compound.training import open_run
    from compound.training.open import is_taken
    from compound.verbs.resume import resume
    from compound.verbs.train import train

    if is_taken(place):
        there = open_run(place)
        if there.network.with_(name=way.network.name) != way.network:
            raise UsageError(f"{place} has a run of another network; give another --out, or move it away")
        if there.state == "done" and there.weights.is_file():
            return there
        return resume(place, setup=replace(setup, final=False)).run
    return train(way.network, whole.spec, recipe, place, setup=replace(setup, start=way.start, final=False)).run


def held_out(run: "Run", images: "DataSet", setup: "Setup") -> "Evaluation":
    """What the run's network says of the held-out images."""
    from compound.evaluation import evaluate
    from compound.nn import load_weights

    model, described = load_weights(run.weights)
    return evaluate(model, images.holdout, described.classes, setup.execution)


def ranked(everyone: Sequence[Contender], left_out: Mapping[str, str], budget: Budget) -> Shrunk:
    """The best first, and each other one beside it; of equally good ones the cheaper. The first is as it was.

    A file of another precision competes where it is as fast as the budget asks or, of a budget that is not in seconds,
    as the slowest network within it.
    """
    from compound.evaluation import compare

    whole, *others = everyone
    networks = [one for one in others if one.precision == "fp32"]
    most = budget.latency or max(one.seconds or 0.0 for one in networks)
    files = [one for one in others if one.precision != "fp32"]
    fast = [one for one in files if (one.seconds or 0.0) <= most]
    best, *rest = sorted([*networks, *fast], key=lambda one: (-one.result.top(1), one.seconds or 0.0))
    against = {one.way: compare(one.result, best.result) for one in rest}
    slower = tuple(one for one in files if one not in fast)
    return Shrunk(whole, (best, *rest), left_out, against, slower)


def _final(winner: Contender, images: "DataSet", setup: "Setup", say: Say) -> "Evaluation":
    """The winner on the test images: once, and the same again where all was trained before."""
    from compound.evaluation import evaluate as judge
    from compound.runtimes import open_runtime
    from compound.training.final import is_unseen
    from compound.verbs.evaluate import Judging, evaluate

    if winner.precision != "fp32" and winner.file is not None:
        return judge(open_runtime(winner.file, winner.precision), images.test, images.classes, setup.execution)
    judging = Judging(final=True) if is_unseen(winner.run) else Judging(again=True)
    return evaluate(winner.run.path, judging=judging, execution=setup.execution, say=say).result
