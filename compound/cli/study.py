"""`compound study`: does a way of scaling beat the others on one's own data, and how sure is that?"""

import shlex
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from compound.cli.common import Json, RuleName, answer, note
from compound.cli.options import with_options
from compound.cli.searches.estimates import study_estimate
from compound.cli.searches.options import SearchOptions, SearchWorkers, comparable, share_cores
from compound.cli.searches.study_answers import study_fields, study_text, write_tables
from compound.cli.training import BatchSize, Data, Devices, Rate, RecipeName, TrainingOptions, which_devices
from compound.errors import CompoundError, UsageError
from compound.latency import load_table
from compound.verbs.given import find_network, find_rule

if TYPE_CHECKING:
    from compound.execution import Execution
    from compound.training import Recipe

Plan = Annotated[str, typer.Option("--plan", help="compound, single, width-on, rules, family, or a YAML file.")]
Ratio = Annotated[float, typer.Option(help="Cost of the scaled networks, as a multiple of the baseline's.")]
Seeds = Annotated[int, typer.Option(min=1, help="Trainings of each network, with seeds from 0. More go on.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads of each process; default the cores shared out.")]
Estimate = Annotated[bool, typer.Option("--estimate", help="Show the networks, estimate the time, and stop.")]


@with_options(SearchOptions)
def study(
    baseline: Annotated[str, typer.Argument(metavar="BASELINE", help="The network to scale: a name or a YAML file.")],
    data: Data,
    plan: Plan = "compound",
    ratio: Ratio = 4.0,
    rule: RuleName = "compound",
    seeds: Seeds = 5,
    recipe: RecipeName = "small",
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of every run, instead of the recipe's.")] = None,
    batch: BatchSize = None,
    rate: Rate = None,
    holdout: Annotated[float, typer.Option(help="Share of the training images that is held out.")] = 0.05,
    workers: SearchWorkers = None,
    threads: Threads = None,
    *,
    options: SearchOptions,
    estimate: Estimate = False,
    device: Devices = ("auto",),  # type: ignore[assignment]
    json: Json = False,
) -> None:
    """Train the scaled networks of a plan with several seeds, and compare them (Tables 3 and 7, Figs. 3 to 8).

    The same command goes on where it was stopped, --seeds may grow, and other machines join by --storage.
    """
    from compound.measurement.machine import environment
    from compound.search.training import opened
    from compound.studies.carry import blank, carry_out
    from compound.studies.plan import find_plan
    from compound.studies.problem import StudyProblem
    from compound.studies.training import WholeTraining
    from compound.studies.variants import Layout
    from compound.trials import SearchDisplay, masked

    chosen = one_recipe(TrainingOptions(recipe=recipe, epochs=epochs, batch=batch, rate=rate).find_recipe())
    network, where, table = find_network(baseline), *which_devices(device)
    crew, execution = shared(workers, threads, where)
    spec = options.spec(data, holdout, 0)
    images = opened(spec)
    layout = Layout(
        find_plan(plan), network.for_data(images), ratio, find_rule(rule), load_table(table) if table else None
    )  # fmt: skip
    folder = options.folder("study", layout.plan.name, network.name, images.name)
    trainer = WholeTraining(spec, chosen, (folder / "runs").absolute(), execution)
    problem = StudyProblem(layout, trainer, seeds)
    for said in layout.notes:
        note(f"note: {said}")
    if estimate:
        return answer(json, *study_estimate(problem, trainer, crew))
    search = options.search(problem, folder / "study.journal", problem.runs, problem.strategy())
    about = environment(execution.threads or 1) | {"workers": crew, "device": where}
    command = shlex.join(["compound", *map(masked, sys.argv[1:])])
    study = blank(layout, images.name, trainer.settings["recipe"], about, command)
    title = f"{problem.name} on {images.name}, {problem.runs} runs, {crew} workers -> {masked(search.storage)}"
    with SearchDisplay(title, search.trials, problem.directions, ["top-1"], quiet=json) as display:
        display.say(title)
        carried = carry_out(search, study, folder, crew, display.show, display.say)
    for said in carried.failed:
        note(f"failed: {said}")
    if carried.stopped:
        note(study_text(carried.study, folder))
        raise carried.stopped
    if not any(variant.runs for variant in carried.study.variants):
        raise CompoundError(f"no run of {problem.runs} was completed; the first error was {carried.failed[0]}")
    write_tables(carried.study, folder)
    return answer(json, study_fields(carried.study, carried.failed, folder), study_text(carried.study, folder))


def one_recipe(recipe: "Recipe") -> "Recipe":
    """The recipe of all runs. Raises `UsageError` where parts of it would be measured, each variant for itself."""
    recipe = comparable(recipe)
    if recipe.settled:
        raise UsageError(
            f"recipe {recipe.name} leaves {', '.join(recipe.settled)} to a measurement, which would differ between "
            "the networks of a study; give numbers"
        )
    return recipe


def shared(workers: int | None, threads: int | None, device: str) -> "tuple[int, Execution]":
    """Processes, and how each runs; never more than there are cores, as that would slow all of them."""
    from compound.measurement.machine import cores

    here = cores()
    crew, execution = share_cores(workers or (threads and max(here // threads, 1)), device)
    share = threads or execution.threads or 1
    if crew * share > here:
        raise UsageError(
            f"{crew} workers of {share} thread{'s' * (share > 1)} need {crew * share} cores and there are {here}; "
            "use fewer --workers or --threads"
        )
    return crew, replace(execution, threads=share)
