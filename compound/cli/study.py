"""`compound study`: does a way of scaling beat the others on one's own data, and how sure is that?"""

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compound.cli.common import Json, RuleName, answer, find_network, find_rule, note
from compound.cli.searching import Lease, SearchWorkers, Storage, StudyName, Timeout, cores, default_workers
from compound.cli.studied import study_fields, study_text, write_tables
from compound.cli.training import (
    BatchSize,
    Data,
    Devices,
    Download,
    ImageChannels,
    Rate,
    RecipeName,
    Root,
    TrainingOptions,
    which_devices,
)
from compound.errors import CompoundError, UsageError
from compound.latency import load_table
from compound.quantity import short

if TYPE_CHECKING:
    from compound.study.problem import StudyProblem
    from compound.study.training import WholeTraining
    from compound.train import Recipe

Plan = Annotated[str, typer.Option("--plan", help="compound, single, width-on, rules, family, or a YAML file.")]
Ratio = Annotated[float, typer.Option(help="Cost of the scaled networks, as a multiple of the baseline's.")]
Seeds = Annotated[int, typer.Option(min=1, help="Trainings of each network, with seeds from 0. More go on.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads of each process; default the cores shared out.")]
Estimate = Annotated[bool, typer.Option("--estimate", help="Show the networks, estimate the time, and stop.")]


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
    channels: ImageChannels = None,
    workers: SearchWorkers = None,
    threads: Threads = None,
    storage: Storage = None,
    name: StudyName = None,
    timeout: Timeout = None,
    lease: Lease = 60.0,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Folder of the results.")] = None,
    estimate: Estimate = False,
    device: Devices = ("auto",),  # type: ignore[assignment]
    root: Root = None,
    download: Download = False,
    json: Json = False,
) -> None:
    """Train the scaled networks of a plan with several seeds, and compare them (Tables 3 and 7, Figs. 3 to 8).

    The same command goes on where it was stopped, --seeds may grow, and other machines join by --storage.
    """
    from compound.measure.machine import environment
    from compound.search.engine import Search
    from compound.search.live import SearchDisplay
    from compound.search.training import Images
    from compound.study.carry import blank, carry_out
    from compound.study.plan import find_plan
    from compound.study.problem import StudyProblem
    from compound.study.training import WholeTraining
    from compound.study.variants import Layout

    chosen = one_recipe(TrainingOptions(recipe=recipe, epochs=epochs, batch=batch, rate=rate).find_recipe())
    network, where, table = find_network(baseline), *which_devices(device)
    crew, share = shared(workers, threads, where)
    images = Images(data, holdout, channels, 0, root, download)
    opened = images.open()
    layout = Layout(
        find_plan(plan), network, ratio, find_rule(rule), load_table(table) if table else None,
        len(opened.classes), opened.channels,
    )  # fmt: skip
    folder = out or Path("runs") / f"study-{layout.plan.name}-{network.name}-{opened.name}".replace(" ", "-")
    trainer = WholeTraining(images, chosen, (folder / "runs").absolute(), share, where)
    problem = StudyProblem(layout, trainer, seeds)
    for said in layout.notes:
        note(f"note: {said}")
    if estimate:
        return answer(json, *estimated(problem, trainer, crew))
    search = Search(
        problem, storage or str(folder / "study.journal"), problem.runs, problem.strategy(), 0, name or "",
        timeout=timeout, lease=lease,
    )  # fmt: skip
    about = environment(share) | {"workers": crew, "device": where}
    study = blank(layout, opened.name, trainer.settings["recipe"], about, shlex.join(["compound", *sys.argv[1:]]))
    title = f"{problem.name} on {opened.name}, {problem.runs} runs, {crew} workers -> {search.storage}"
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
    recipe = replace(recipe, precision="fp32") if recipe.precision == "auto" else recipe
    settled = replace(recipe, compile="never").settled  # none of its networks is compiled unless all are
    if settled:
        raise UsageError(
            f"recipe {recipe.name} leaves {', '.join(settled)} to a measurement, which would differ between "
            "the networks of a study; give numbers"
        )
    return recipe


def shared(workers: int | None, threads: int | None, device: str) -> tuple[int, int]:
    """Processes, and threads of each; never more than there are cores, as that would slow all of them."""
    here = cores()
    crew = workers or (max(here // threads, 1) if threads else default_workers(device))
    share = threads or max(here // crew, 1)
    if crew * share > here:
        raise UsageError(
            f"{crew} workers of {share} thread{'s' * (share > 1)} need {crew * share} cores and there are {here}; "
            "use fewer --workers or --threads"
        )
    return crew, share


def estimated(problem: "StudyProblem", trainer: "WholeTraining", workers: int) -> tuple[dict[str, Any], str]:
    """Time by a few measured steps of every network, compute by counted multiply-adds."""
    layout = problem.layout
    each = {v.name: trainer.seconds(layout.networks[v.name]) for v in layout.variants}
    seconds = sum(each.values()) * problem.seeds / min(workers, problem.runs)
    images = len(trainer.images.open().train)
    # A training step costs three forward passes: one forward, two backward.
    compute = 3 * images * trainer.recipe.epochs * problem.seeds * sum(v.macs for v in layout.variants)
    rows = [
        {"name": v.name, "group": v.group, "resolution": v.resolution, "params": v.params, "macs": v.macs,
         "latency": v.latency, "seconds_a_run": round(each[v.name], 1)}
        for v in layout.variants
    ]  # fmt: skip
    value = {"variants": rows, "seeds": problem.seeds, "runs": problem.runs, "workers": workers}
    value |= {"seconds": round(seconds), "macs": compute, "notes": list(layout.notes)}
    lines = [f"{'network':<28} {'group':<14} {'px':>4} {'parameters':>12} {'multiply-adds':>16} {'s a run':>8}"]
    lines += [
        f"{v.name:<28} {v.group:<14} {v.resolution:>4} {v.params:>12,} {v.macs:>16,} {each[v.name]:>8.0f}"
        for v in layout.variants
    ]
    lines.append(
        f"{problem.runs} runs of {trainer.recipe.epochs} epochs: about {seconds / 60:.0f} minutes with {workers} "
        f"workers, {trainer.threads} threads each (by measured steps; side by side they may be slower)\n"
        f"about {short(compute)} multiply-adds"
    )
    return value, "\n".join(lines)
