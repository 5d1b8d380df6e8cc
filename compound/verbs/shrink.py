"""`compound.shrink`: a trained network brought within a budget by every way there is, and which of them wins."""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from compound.budget import Budget, fit_budget
from compound.cost import cost
from compound.errors import BudgetError, UsageError
from compound.files import make_folder, write_json
from compound.network import Network
from compound.scaling import RULES
from compound.trials.sharing import COMMAND
from compound.verbs.contest import Contender, Shrunk
from compound.verbs.given import Place, Say, check_budget, heard, silent

if TYPE_CHECKING:
    from compound.data import DataSet
    from compound.evaluation import Evaluation
    from compound.measurement import Turns
    from compound.training import Recipe, Run, Setup

FILE = "shrink.json"  # in the folder of all ways
# The rules by which a network gives way: all dimensions, one of them alone, and images alone.
WAYS = ("compound", "width", "depth", "shrink")
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

    Every way is a rule of scaling: the network within the budget inherits what it can from the run and has the run as
    its teacher (Hinton et al. 2015). All are judged by the run's held-out images, which none of them was trained on,
    and timed in one session; the winner alone is then judged by the test images.

    Args:
        run: a trained run that holds out images.
        budget: limits of the network (see `compound.Budget`).
        out: a folder for a run a way and shrink.json; by default beside the run.
        ways: names of `compound.scaling.RULES`; `shrink` gives up resolution alone.
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
    networks, left_out = within(whole.network.for_data(images), budget, ways)
    for way, reason in left_out.items():
        say(f"left out: {way}: {reason}")
    folder = make_folder(Path(out) if out is not None else whole.path.with_name(f"{whole.path.name}-shrunk"))
    if command:
        write_json(folder / COMMAND, {"arguments": list(command)})
    recipe = recipe or replace(whole.recipe, minutes=MINUTES)
    recipe = replace(recipe, find=(), teacher=str(whole.path))
    contenders = []
    for number, (way, network) in enumerate(networks.items(), 1):
        say(f"{number} of {len(networks)}, {way}: {cost(network).macs:,} MACs at {network.resolution} px")
        made = trained(network, whole, recipe, folder / way, setup)
        contenders.append(Contender(way, made, held_out(made, images, setup)))
    first = Contender("as it was", whole, held_out(whole, images, setup))
    found = timed(ranked(first, contenders, left_out), setup, turns)
    found = replace(found, test=_final(found.winner.run, setup, say))
    write_json(folder / FILE, found.to_json())
    return found


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
    unknown = [way for way in ways if way not in RULES]
    if unknown:
        raise UsageError(f"there is no way {unknown[0]!r}; use some of {', '.join(RULES)}")
    if budget.admits(budget.cost(run.network)):
        raise UsageError(f"{run.path} is within the budget as it is; give a smaller one")


def within(network: Network, budget: Budget, ways: Sequence[str]) -> tuple[dict[str, Network], dict[str, str]]:
    """The network that each way makes of `network` within the budget, and why some make none.

    Raises `BudgetError` where none does.
    """
    from compound.nn.carrying import InheritError
    from compound.nn.inherit import check_kinds, check_operators

    found: dict[str, Network] = {}
    left_out: dict[str, str] = {}
    for way in dict.fromkeys(ways):
        try:
            made = fit_budget(network, budget, RULES[way]).network
            check_kinds(network, made)
            check_operators(network, made)
        except (BudgetError, InheritError, UsageError) as error:
            left_out[way] = str(error)
            continue
        same = [other for other, one in found.items() if one.with_(name=made.name) == made]
        if same:
            left_out[way] = f"the same network as by {same[0]}"
        else:
            found[way] = made
    if not found:
        raise BudgetError(f"no way brings {network.name} within the budget: {next(iter(left_out.values()))}")
    return found, left_out


def trained(network: Network, whole: "Run", recipe: "Recipe", place: Path, setup: "Setup") -> "Run":
    """The run of one way: done, gone on with, or begun from what `whole` has learned."""
    from compound.training import Start, open_run
    from compound.training.open import is_taken
    from compound.verbs.resume import resume
    from compound.verbs.train import train

    if is_taken(place):
        there = open_run(place)
        if there.network.with_(name=network.name) != network:
            raise UsageError(f"{place} has a run of another network; give another --out, or move it away")
        if there.state == "done" and there.weights.is_file():
            return there
        return resume(place, setup=replace(setup, final=False)).run
    start = Start(inherited=whole.path, of=whole.network)
    return train(network, whole.spec, recipe, place, setup=replace(setup, start=start, final=False)).run


def held_out(run: "Run", images: "DataSet", setup: "Setup") -> "Evaluation":
    """What the run's network says of the held-out images."""
    from compound.evaluation import evaluate
    from compound.nn import load_weights

    model, described = load_weights(run.weights)
    return evaluate(model, images.holdout, described.classes, setup.execution)


def ranked(whole: Contender, contenders: Sequence[Contender], left_out: dict[str, str]) -> Shrunk:
    """The best first, and each other one beside it; of equally good ones the cheaper."""
    from compound.evaluation import compare

    order = sorted(contenders, key=lambda one: (-one.result.top(1), cost(one.run.network).macs))
    best, *others = order
    against = {one.way: compare(one.result, best.result) for one in others}
    return Shrunk(whole, tuple(order), left_out, against)


def timed(found: Shrunk, setup: "Setup", turns: "Turns | None") -> Shrunk:
    """With the seconds of one call of each, all taking turns."""
    from compound.verbs.measure import measure

    everyone = (found.whole, *found.contenders)
    session = measure([str(one.run.path) for one in everyone], threads=setup.execution.threads or 1, turns=turns)
    seconds = {one.subject.name: one.timing.median for one in session.measured}
    first, *others = (replace(one, seconds=seconds.get(str(one.run.path))) for one in everyone)
    return replace(found, whole=first, contenders=tuple(others))


def _final(run: "Run", setup: "Setup", say: Say) -> "Evaluation":
    """The winner on the test images: once, and the same again where all was trained before."""
    from compound.training.final import is_unseen
    from compound.verbs.evaluate import Judging, evaluate

    judging = Judging(final=True) if is_unseen(run) else Judging(again=True)
    return evaluate(run.path, judging=judging, execution=setup.execution, say=say).result
