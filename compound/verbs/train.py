"""`compound.train`: a network on a data set, into a run directory."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compound.cost import cost, cost_fields, training_text
from compound.errors import UsageError
from compound.network import Network
from compound.places import RUNS
from compound.quantity import short
from compound.verbs.advice import advice
from compound.verbs.auto import named
from compound.verbs.early import refuse_early
from compound.verbs.folds import divide, finish_folds, remembered
from compound.verbs.given import Place, Say, find_network, heard, silent

if TYPE_CHECKING:
    from compound.data import DataSet, DataSpec
    from compound.data.folds import Folds
    from compound.evaluation import Evaluation
    from compound.evaluation.folds import OutOfFold
    from compound.training import Recipe, Run, Setup
    from compound.training.memory import Crew

FIELDS = ("images", "mean_average_precision", "top1", "top1_interval", "mean_per_class", "top5", "loss", "damaged")


@dataclass(frozen=True)
class Trained:
    """A run that was trained to its end, and how good it is on the images of `part`, `test` or `held-out`.

    `report`: its page, where a resumed run was one of `compound.fit`. `folded`: what the models of its folds say of the
    images that each of them never saw, where folds were asked for.
    """

    run: "Run"
    result: "Evaluation"
    part: str = "test"
    report: Path | None = None
    folded: "OutOfFold | None" = None

    def to_json(self) -> dict[str, Any]:
        return {"part": self.part} | self.figures()

    def figures(self) -> dict[str, Any]:
        """The network's cost, where everything lies, and the accuracy; shares are 0 to 1."""
        run, summary = self.run, self.result.summary()
        return cost_fields(run.network, cost(run.network)) | {
            "out": str(run.path),
            "weights": str(run.weights),
            "epochs": run.epochs_done(),
            **{name: summary[name] for name in FIELDS if name in summary},
            **({"report": str(self.report)} if self.report else {}),
            **({"cross_validation": self.folded.to_json()} if self.folded else {}),
        }


@heard
def train(
    network: Network | Place,
    data: "DataSet | DataSpec | Place",
    recipe: "Recipe | Place | None" = None,
    out: Place | None = None,
    *,
    setup: "Setup | None" = None,
    folds: "Folds | int | None" = None,
    say: Say = silent,
) -> Trained:
    """Train a network on a data set into a run directory, and evaluate it once on the test images.

    Args:
        network: a network, or a name of the zoo, a YAML file, a run directory; its classes and channels become the
            data's.
        data: an open data set, the question that opens one, or only where it lies.
        recipe: a recipe, its name or its YAML file; by default `small`, of few images `few`, with given
            weights `transfer`.
        out: the run directory, in which a run is never overwritten; by default `runs/NETWORK-DATA`, or where that has
            a run the first of `NETWORK-DATA-2`, `-3`, … without one.
        setup: what it starts from, where it runs, its seed, and whether it goes on (see `compound.training.Setup`).
        folds: also train so many times without a fold, and judge that fold: a cross-validation (see
            `compound.verbs.folds`).
        say: told of doubts and warnings.

    In several processes (torchrun, srun) all call it, process 0 alone writes and says, and all have the same result.
    Raises `UsageError` for what cannot be, `compound.training.Interrupted` after Ctrl-C or SIGTERM with the checkpoint
    saved, `compound.training.divergence.Diverged` when loss or weights are no longer numbers.
    """
    from compound.training import Setup

    setup = setup or Setup()
    found = find_network(network)
    recipe = None if recipe is None else find_recipe(recipe)
    refuse_early(setup, recipe, out, found)
    images = find_data(data, setup.seed, recipe)
    recipe = find_recipe(recipe, setup, images)
    setup = replace(setup, start=named(setup.start, found, say))
    divided = divide(folds, images, recipe, setup)
    run, parts = begin(found, images, recipe, out, setup, say)
    run = remembered(run, folds)
    return finish_folds(divided, found, recipe, run, parts, setup, say) if divided else finish(run, parts, setup)


def find_data(given: "DataSet | DataSpec | Place", seed: int = 0, recipe: "Recipe | None" = None) -> "DataSet":
    """An open data set; one that is only named is divided by `seed`, and holds out what `recipe` is published with."""
    from compound.data import DataSet, DataSpec

    if isinstance(given, DataSet):
        return given
    most = None
    if recipe is not None:
        from compound.training.recipes import MINIVAL

        most = MINIVAL.get(recipe.name)
    return (given if isinstance(given, DataSpec) else DataSpec(str(given), seed=seed, most=most)).open()


def find_recipe(
    given: "Recipe | Place | None", setup: "Setup | None" = None, images: "DataSet | None" = None
) -> "Recipe":
    """A recipe, or one by name or file; by default `small`, of few images `few`, with given weights `transfer`."""
    from compound.training import Recipe
    from compound.training import find_recipe as named
    from compound.training.recipes import usual_recipe

    if isinstance(given, Recipe):
        return given
    return named(str(given or usual_recipe(setup is not None and setup.start.weights is not None, images)))


def begin(
    network: Network, images: "DataSet", recipe: "Recipe", out: Place | None, setup: "Setup", say: Say, name: str = ""
) -> "tuple[Run, DataSet]":
    """The run, started or to go on with, and the images in its parts; `name` stands for NETWORK in the usual folder."""
    from compound.nn import load_weights
    from compound.parallel import from_first, is_first, join, size
    from compound.training import adopted, start_run
    from compound.training.balance import split
    from compound.training.doubts import doubts
    from compound.training.judging import parts_as_in
    from compound.training.memory import Crew
    from compound.training.setup import kept
    from compound.training.weighting import find_class_weights

    weights, execution = setup.start.weights, setup.execution
    if setup.start.inherited is not None:  # what is not there is said before anything is written
        load_weights(setup.start.inherited, setup.start.of, several=True)
    images, warnings = parts_as_in((weights, setup.start.inherited, recipe.teacher), images)
    if images.several and recipe.loss != "bce":
        recipe = replace(recipe, loss="bce")
        say(f"{images.name} has several labels an image: the loss is binary cross-entropy, a class by itself")
    if setup.final is not None and not len(images.holdout):
        raise UsageError(f"--final chooses by held-out images and {images.name} has none; add e.g. --holdout 0.05")
    warnings += advice(network, images, recipe, setup)
    if weights is not None:
        network, of = adopted(network, weights, setup.start.of), setup.start.of
        held = adopted(of, weights).with_(resolution=network.resolution) if of is not None else network
        warnings += doubts(weights, held, images)
    if setup.class_weights is not None:
        found = find_class_weights(setup.class_weights, images, weights, execution)
        recipe = replace(recipe, class_weights=found)
    join(execution.where)
    usual = Path(RUNS) / f"{name or network.name}-{images.name}".replace(" ", "-")
    place = Path(out) if out is not None else from_first(lambda: next_place(usual, setup.resume, say))
    run = start_run(network, images, recipe, place, execution, seed=setup.seed, resume=setup.resume)
    if not setup.resume:
        run = replace(run, setup=kept(setup)).save()
    if is_first():
        for warning in (*warnings, *run.network.warnings()):
            say(f"warning: {warning}")
        if setup.progress:
            say(start_text(run, images, Crew(size(), execution.shard)))
            if execution.pipeline:
                say(f"a pipeline, steps in {run.recipe.accumulate} parts:\n{split(run.network, size())}")
    return run, images


def next_place(usual: Path, resume: bool, say: Say) -> Path:
    """The first of `usual`, `usual-2`, `usual-3`, … that holds no run; to resume, the last before it that does."""
    from compound.training.open import is_taken

    taken: list[Path] = []
    place = usual
    while is_taken(place):
        taken.append(place)
        place = usual.with_name(f"{usual.name}-{len(taken) + 1}")
    if resume:
        return taken[-1] if taken else usual
    if taken:
        say(f"{taken[-1]} is there already (compound runs lists runs); this one goes to {place}")
    return place


def finish(run: "Run", images: "DataSet", setup: "Setup") -> Trained:
    """Train the run to its end."""
    from compound.training import train as run_training

    run, result = run_training(
        run, images,
        start=setup.start, execution=setup.execution, safeguards=setup.safeguards, final=setup.final,
        quiet=not setup.progress,
    )  # fmt: skip
    return Trained(run, result, "held-out" if setup.final is False else "test")


def start_text(run: "Run", images: "DataSet", crew: "Crew") -> str:
    """What is about to be trained, in lines."""
    from compound.training.memory import predicted_bytes

    network, recipe = run.network, run.recipe
    counted = cost(network)
    epochs = f"{recipe.epochs} epoch" + "s" * (recipe.epochs != 1)
    lines = [
        f"{network.name}: {counted.params:,} parameters, {counted.macs:,} MACs at {network.resolution} px",
        *([said] if (said := training_text(counted)) else []),
        f"{images.name}: {len(images.train):,} images to train, {len(images.holdout):,} held out, "
        f"{len(images.test):,} to test, {len(images.classes)} classes",
        f"{recipe.name} recipe, {epochs} of {recipe.batch}-image steps -> {run.path}",
    ]
    if recipe.minutes is not None:
        lines.append(
            f"{recipe.minutes:g} minutes cover the training with its checks on held-out images, as many epochs as they "
            "hold; reading the data and the evaluation at the end come on top"
        )
    if images.left_out:
        told = [f"{what}: {why}" for what, why in images.left_out.items()]
        more = f"; and {len(told) - 5:,} more, see compound data check" if len(told) > 5 else ""
        lines.append(f"not used: {'; '.join(told[:5])}{more}")
    lines += [f"{name} {getattr(recipe, name):.4g}, by a sweep" for name in recipe.find]
    if recipe.compile in ("always", "graphs"):
        lines.append("steps are compiled, the first of a process within a minute or more")
    if recipe.training_memory is not None:
        needed = predicted_bytes(network, recipe, crew)
        how = [f"{', '.join(recipe.recompute)} computed again in the backward pass"] if recipe.recompute else []
        how += [f"steps in {recipe.accumulate} parts"] if recipe.accumulate > 1 else []
        given = short(recipe.training_memory)
        lines.append(f"memory {short(needed)}B predicted of {given}B: {'; '.join(how) or 'as it is'}")
    return "\n".join(lines)
