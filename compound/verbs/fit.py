"""`compound.fit`: the whole way from images and a budget to a trained network and a report."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from compound.budget import Budget, Plan, save_plan
from compound.errors import UsageError
from compound.network import Network
from compound.scaling import Rule
from compound.verbs.auto import choose, named
from compound.verbs.early import named_by, refuse_early, refuse_early_fit
from compound.verbs.folds import divide, finish_folds, remembered
from compound.verbs.given import Place, Say, find_network, heard, silent
from compound.verbs.plan import plan as find_plan
from compound.verbs.plan import plan_text
from compound.verbs.train import Trained, begin, find_data, find_recipe, finish
from compound.verbs.warm import default_rule
from compound.zoo import ZOO

if TYPE_CHECKING:
    from compound.data import DataSet, DataSpec
    from compound.data.folds import Folds
    from compound.training import Recipe, Setup

PLAN, REPORT = "plan.json", "report.html"  # in a run
SMALL_IMAGES = 64  # px; up to here the small-image baseline is the default


@dataclass(frozen=True)
class Fitted:
    """A run that was planned and trained, and its page; `plan` is None where there was no budget."""

    trained: Trained
    plan: Plan | None
    report: Path

    def to_json(self) -> dict[str, Any]:
        return self.trained.figures() | {"report": str(self.report)}


@heard
def fit(
    data: "DataSet | DataSpec | Place",
    budget: Budget | None = None,
    recipe: "Recipe | Place | None" = None,
    out: Place | None = None,
    *,
    baseline: Network | Place | None = None,
    rule: Rule | str | None = None,
    fill: bool = False,
    setup: "Setup | None" = None,
    folds: "Folds | int | None" = None,
    say: Say = silent,
) -> Fitted:
    """Plan within a budget, train, evaluate once on the test images, predict on samples and write report.html.

    Args:
        data: an open data set, the question that opens one, or only where it lies.
        budget: limits (see `compound.Budget`), of training memory as the recipe trains; None: the baseline as it is.
        recipe: as for `compound.train`.
        out: the run's folder; by default one named after the baseline.
        baseline: what is scaled; by default by the size of the images: `efficientnet-mini` up to 64 px, beyond it
            `efficientnet-b0`, or with the weights `auto` the best published network within the budget, with others
            the network that they hold, where they say it.
        rule: how it is scaled, as for `compound.plan`; by default `compound`, with given weights `default_rule`.
        fill: as for `compound.plan`.
        setup: as for `compound.train`.
        folds: as for `compound.train`.
        say: told of doubts and warnings.

    Raises `UsageError` for data that the report cannot show (several labels an image, other than 1 or 3 channels),
    `BudgetError` where no network fits, and what `compound.train` raises.
    """
    from compound.parallel import is_first

    ready = prepare(data, budget, recipe, out, baseline=baseline, rule=rule, fill=fill, setup=setup, say=say)
    network, start, setup = ready.network, ready.baseline, ready.setup
    divided = divide(folds, ready.images, ready.recipe, setup)
    run, images = begin(network, ready.images, ready.recipe, out, setup, say, start.name)
    run = remembered(run, folds)
    if is_first():  # before the training: by it a run that is resumed is known as one to write a page for
        save_plan(run.folder / PLAN, start, ready.plan, ready.rule)
    if divided:
        done = finish_folds(divided, network, ready.recipe, run, images, setup, say)
    else:
        done = finish(run, images, setup)
    return Fitted(done, ready.plan, write_page(done, images))


class ToFit(NamedTuple):
    """What is about to be trained: the network, the baseline that the rule `rule` made it of, and the plan if any."""

    network: Network
    baseline: Network
    plan: Plan | None
    images: "DataSet"
    recipe: "Recipe"
    setup: "Setup"
    rule: str


def prepare(
    data: "DataSet | DataSpec | Place",
    budget: Budget | None = None,
    recipe: "Recipe | Place | None" = None,
    out: Place | None = None,
    *,
    baseline: Network | Place | None = None,
    rule: Rule | str | None = None,
    fill: bool = False,
    setup: "Setup | None" = None,
    say: Say = silent,
) -> ToFit:
    """All of `fit` that comes before its run is begun; arguments and errors are those of `fit`."""
    from compound.training import Setup

    setup = setup or Setup()
    refuse_early_fit(setup, baseline, rule, budget)
    images, weights = _to_show(data, recipe, out, setup, say), setup.start.weights
    recipe, budget = _limited(find_recipe(recipe, setup, images), budget, setup)
    if weights == "auto" and not baseline:
        weights, start = choose(budget, images, setup.execution, recipe.minutes, say)
        setup, budget = replace(setup, start=replace(setup.start, weights=weights)), None
    else:
        start = baseline_of(images, baseline, weights)
        setup = replace(setup, start=named(setup.start, start, say))
    rule = rule or (default_rule(start, budget) if budget and weights is not None else "compound")
    found = find_plan(start, budget, rule, fill=fill, say=say) if budget else None
    network = found.network if found else start
    if found and weights is not None:
        setup = replace(setup, start=replace(setup.start, of=start))
    if setup.progress:
        say(plan_text(found) if found else network.table())
    return ToFit(network, start, found, images, recipe, setup, rule if isinstance(rule, str) else str(rule))


def _to_show(
    data: "DataSet | DataSpec | Place", recipe: "Recipe | Place | None", out: Place | None, setup: "Setup", say: Say
) -> "DataSet":
    """The images, where the report can show them and some of them are to be tested on."""
    from compound.data.glance import glance

    found = None if recipe is None else find_recipe(recipe)
    refuse_early(setup, found, out)
    images = find_data(data, setup.seed, found)
    refuse_unshown(images)
    if setup.progress:
        say(glance(images))
    return images


def _limited(recipe: "Recipe", budget: Budget | None, setup: "Setup") -> "tuple[Recipe, Budget | None]":
    """The budget counted as the recipe trains; and a batch that is yet to be found is found within its memory."""
    from compound.parallel import join
    from compound.training.memory import ALONE, Crew, as_trained

    if budget is None:
        return recipe, None
    if "batch" in recipe.find and recipe.training_memory is None:
        recipe = replace(recipe, training_memory=budget.training_memory)
    execution = setup.execution
    crew = ALONE if execution.pipeline else Crew(join(execution.where).size, execution.shard)
    return recipe, as_trained(budget, recipe, crew)


def write_page(trained: Trained, images: "DataSet") -> Path:
    """Pictures of the data, samples of what the network says of test images, and report.html; where the page is."""
    from compound.deploy import write_predictions
    from compound.parallel import is_first
    from compound.reporting import write_run_report
    from compound.training.open import going_on
    from compound.training.pictures import write_pictures

    run = trained.run
    if is_first():
        parts = going_on(run, images)
        write_predictions(run.folder, parts, trained.result, run.seed)
        write_pictures(run, parts)
        write_run_report(run.folder)
    return run.path / REPORT


def refuse_unshown(images: "DataSet") -> None:
    """What the report cannot show."""
    if images.channels not in (1, 3):
        raise UsageError(
            f"{images.name} has {images.channels} channels, and the report shows pictures of 1 or 3; use compound train"
        )
    if images.several:
        raise UsageError(
            f"{images.name} has several labels an image, and the report is made for one; use compound train"
        )


def default_baseline(images: "DataSet") -> Network:
    """The small-image baseline where images are small, EfficientNet-B0 otherwise."""
    from compound.data.readable import first_readable

    _, height, width = first_readable(images.test).shape
    return ZOO["efficientnet-mini" if max(height, width) <= SMALL_IMAGES else "efficientnet-b0"]


def baseline_of(images: "DataSet", named: Network | Place | None, weights: str | Path | None) -> Network:
    """What is scaled for `images`: the network that is named, that of `weights`, or the usual one."""
    if named is not None:
        return find_network(named).for_data(images)
    if weights is None:
        return default_baseline(images).for_data(images)
    return named_by(weights).for_data(images)
