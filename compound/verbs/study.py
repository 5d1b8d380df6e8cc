"""`compound.study`: does a way of scaling beat the others on one's own data, and how sure is that?"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compound.errors import CompoundError, UsageError
from compound.latency import load_table
from compound.network import Network
from compound.scaling import Rule
from compound.trials.sharing import Sharing, folder_of
from compound.verbs.coefficients import find_spec
from compound.verbs.given import Place, Say, find_network, find_rule, heard, silent

if TYPE_CHECKING:
    from compound.data import DataSpec
    from compound.studies import Study
    from compound.studies.problem import StudyProblem
    from compound.studies.training import WholeTraining
    from compound.training import Recipe

HOLDOUT = 0.05  # of the training images


@dataclass(frozen=True)
class ScalingQuestion:
    """What a study compares: the networks of `plan` (compound, single, width-on, rules, family, or a YAML file), scaled
    to multiples of `ratio` of the baseline's cost, each trained with `seeds` seeds counted from 0.

    `rule`: what the plan calls "given". `table`: the file of a device, where latency is predicted, too.
    """

    plan: str = "compound"
    ratio: float = 4.0
    rule: Rule | str = "compound"
    seeds: int = 5
    table: Path | None = None


@dataclass(frozen=True)
class FoundStudy:
    """The study with its runs, a sentence for each run that failed, and the folder of the results."""

    study: "Study"
    failed: tuple[str, ...]
    out: Path

    def to_json(self) -> dict[str, Any]:
        from compound.studies.told import study_fields

        return study_fields(self.study, self.failed, self.out)


@dataclass(frozen=True)
class PreparedStudy:
    """A study that can be estimated or carried out; `name` is that of its data."""

    problem: "StudyProblem"
    trainer: "WholeTraining"
    name: str
    workers: int
    out: Path


@heard
def study(
    network: Network | Place,
    data: "DataSpec | Place",
    recipe: "Recipe | Place | None" = None,
    out: Place | None = None,
    *,
    asked: ScalingQuestion = ScalingQuestion(),
    sharing: Sharing = Sharing(),
    command: str = "",
    say: Say = silent,
) -> FoundStudy:
    """Train the scaled networks of a plan with several seeds, and compare them (Tables 3 and 7, Figures 3 to 8).

    Args:
        network: the baseline: a network, or a name, a YAML file, a run directory.
        data: the question that opens the images, or only where they lie.
        recipe: of all runs, or its name or file; by default `small`. Nothing in it may be left to a measurement.
        out: a folder for study.json, networks, runs and tables; by default below `runs`.
        asked: what is compared. sharing: where trials are kept, and who works on them.
        command: what is kept as the way to repeat it.
        say: told notes, failures, and the text of a study that was stopped.

    The same call goes on where it was stopped. Raises `compound.trials.SearchStopped` after Ctrl-C, `CompoundError`
    where no run was completed, `UsageError` for what cannot be.
    """
    from compound.measurement.machine import environment
    from compound.studies.carry import blank, carry_out
    from compound.studies.told import study_text, write_tables
    from compound.trials import SearchDisplay, shown

    prepared = prepare(network, data, recipe, out, asked, sharing, say)
    problem, trainer, folder, crew = prepared.problem, prepared.trainer, prepared.out, prepared.workers
    search = sharing.search(problem, folder / "study.journal", problem.runs, problem.strategy())
    about = environment(trainer.execution.threads or 1) | {"workers": crew, "device": sharing.device}
    begun = blank(problem.layout, prepared.name, trainer.settings["recipe"], about, command)
    workers = f"{crew} worker{'s' * (crew != 1)}"
    title = f"{problem.name} on {prepared.name}, {problem.runs} runs, {workers} -> {shown(search.storage)}"
    quiet = not sharing.progress
    with SearchDisplay(title, search.trials, problem.directions, ["top-1"], quiet=quiet) as display:
        display.say(title)
        carried = carry_out(search, begun, folder, crew, display.show, display.say)
    for said in carried.failed:
        say(f"failed: {said}")
    if carried.stopped:
        say(study_text(carried.study, folder))
        raise carried.stopped
    if not any(variant.runs for variant in carried.study.variants):
        raise CompoundError(f"no run of {problem.runs} was completed; the first error was {carried.failed[0]}")
    write_tables(carried.study, folder)
    return FoundStudy(carried.study, carried.failed, folder)


def prepare(
    network: Network | Place,
    data: "DataSpec | Place",
    recipe: "Recipe | Place | None",
    out: Place | None,
    asked: ScalingQuestion,
    sharing: Sharing,
    say: Say = silent,
) -> PreparedStudy:
    """The networks of a study, and who trains them. Raises `UsageError` for more processes than there are cores."""
    from compound.execution import share_cores
    from compound.machine import cores
    from compound.studies.plan import find_plan
    from compound.studies.problem import StudyProblem
    from compound.studies.training import WholeTraining
    from compound.studies.variants import Layout
    from compound.training.short import opened
    from compound.verbs.train import find_recipe

    chosen = one_recipe(find_recipe(recipe))
    baseline = find_network(network)
    crew, execution = share_cores(sharing.workers, sharing.device, sharing.threads)
    share = execution.threads or 1
    if crew * share > cores():
        raise UsageError(
            f"{crew} workers of {share} thread{'s' * (share > 1)} need {crew * share} cores and there are {cores()}; "
            "use fewer --workers or --threads"
        )
    spec = find_spec(data, HOLDOUT, 0)
    images = opened(spec)
    table = load_table(asked.table) if asked.table else None
    layout = Layout(
        find_plan(asked.plan), baseline.for_data(images), asked.ratio, find_rule(asked.rule), table
    )  # fmt: skip
    folder = folder_of(out, "study", layout.plan.name, baseline.name, images.name)
    trainer = WholeTraining(spec, chosen, (folder / "runs").absolute(), execution)
    for said in layout.notes:
        say(f"note: {said}")
    return PreparedStudy(StudyProblem(layout, trainer, asked.seeds), trainer, images.name, crew, folder)


def one_recipe(recipe: "Recipe") -> "Recipe":
    """The recipe of all runs. Raises `UsageError` where parts of it would be measured, each variant for itself."""
    recipe = recipe.comparable()
    if recipe.settled:
        raise UsageError(
            f"recipe {recipe.name} leaves {', '.join(recipe.settled)} to a measurement, which would differ between "
            "the networks of a study; give numbers"
        )
    return recipe
