"""`compound.search_transfer`: how to fine-tune given weights (the protocol of Kornblith et al. 2019)."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compound.files import make_folder, write_json
from compound.network import Network
from compound.trials.sharing import Sharing, best_of, carry_out, folder_of, median_pruner
from compound.verbs.auto import named
from compound.verbs.coefficients import HOLDOUT, find_spec
from compound.verbs.given import Place, Say, find_network, heard, silent
from compound.verbs.train import Trained

if TYPE_CHECKING:
    from compound.data import DataSet, DataSpec
    from compound.search.transfer import TransferProblem
    from compound.training import Recipe
    from compound.training.short import ShortTraining
    from compound.trials import RankedTrial


@dataclass(frozen=True)
class TransferSearch:
    """What is tried: `rates` peak rates from 1e-4 to 1e-1 per 256 images, with `decays` weight decays, one of them none
    and the others from 1e-6 to 1e-3.

    `steps`: of a training, rounded to whole epochs. `batch`: images a step. `sampler`, `trials`, `prune`, `seed`: as of
    a `CoefficientSearch`; None: all places of the grid.
    """

    rates: int = 7
    decays: int = 8
    steps: int = 20_000
    batch: int = 256
    sampler: str = "grid"
    trials: int | None = None
    prune: bool = False
    seed: int = 0


@dataclass(frozen=True)
class FoundTransfer:
    """The chosen place of the grid, all trials in order of merit, and the training with it on all but the test images.

    `end` says which end of the rates was chosen, where a better one may lie beyond.
    """

    problem: "TransferProblem"
    entries: "list[RankedTrial]"
    best: "RankedTrial"
    trained: Trained
    end: str | None

    def to_json(self) -> dict[str, Any]:
        run, result = self.trained.run, self.trained.result
        return {
            **{state: sum(e.state == state for e in self.entries) for state in ("complete", "pruned", "failed")},
            "rate": run.recipe.rate,
            "weight_decay": run.recipe.weight_decay,
            "decay": self.best.parameters["decay"],
            "holdout": self.best.values[0] if self.best.values else None,
            "epochs": run.epochs_done(),
            "batch": run.recipe.batch,
            "top1": result.top(1),
            "top1_interval": list(result.interval()),
            "images": result.images,
            "run": str(run.path),
        }


@dataclass(frozen=True)
class PreparedTransfer:
    """A search that can be estimated or carried out."""

    problem: "TransferProblem"
    evaluator: "ShortTraining"
    images: "DataSet"
    trials: int
    workers: int


@heard
def search_transfer(
    network: Network | Place,
    data: "DataSpec | Place",
    weights: Place,
    recipe: "Recipe | Place" = "kornblith",
    out: Place | None = None,
    *,
    asked: TransferSearch = TransferSearch(),
    sharing: Sharing = Sharing(),
    say: Say = silent,
) -> FoundTransfer:
    """Fine-tune `weights` by a grid of rates and decays judged by held-out images; retrain the best on all, test once.

    Args:
        network: a network, or a name, a YAML file, a run directory.
        data: the question that opens the images, or only where they lie; where it has none held out, a fifth judges.
        weights: what is fine-tuned: a run, a file, or a published name.
        recipe: of every training, whose epochs and batch `asked` says.
        out: a folder for leaderboard, result.json and the last training's run; by default below `runs`.
        asked: what is tried. sharing: where trials are kept, and who works on them.
        say: told of doubts about the weights.

    Raises what `compound.search_coefficients` and `compound.train` raise.
    """
    from compound.search.transfer import at_an_end, chosen
    from compound.trials import find_strategy, write_leaderboard

    prepared = prepare(network, data, weights, recipe, asked, sharing, say)
    problem, images = prepared.problem, prepared.images
    place = make_folder(folder_of(out, "transfer", problem.network.name, images.name))
    journal, strategy = place / "search.journal", find_strategy(asked.sampler)
    search = sharing.search(problem, journal, prepared.trials, strategy, asked.seed, median_pruner(asked.prune))
    entries = carry_out(search, prepared.workers, not sharing.progress)
    write_leaderboard(entries, place, ["accuracy"])
    best = chosen(entries) or best_of(entries, place)
    trained = _retrain(prepared, best, asked, place, sharing.device)
    found = FoundTransfer(problem, entries, best, trained, at_an_end(problem, best))
    write_json(place / "result.json", found.to_json())
    return found


def prepare(
    network: Network | Place,
    data: "DataSpec | Place",
    weights: Place,
    recipe: "Recipe | Place",
    asked: TransferSearch,
    sharing: Sharing,
    say: Say = silent,
) -> PreparedTransfer:
    """The search's problem, and how much of it is tried."""
    from compound.execution import share_cores
    from compound.search.finetuned import FineTuned
    from compound.search.transfer import TransferProblem, epochs_of
    from compound.training import Start, adopted
    from compound.training.doubts import doubts
    from compound.training.short import ShortTraining, opened
    from compound.verbs.train import find_recipe

    workers, execution = share_cores(sharing.workers, sharing.device, sharing.threads)
    spec = find_spec(data, HOLDOUT, asked.seed)
    images = opened(spec)
    given = find_network(network)
    name = str(named(Start(str(weights)), given, say).weights)
    found = adopted(given, name).for_data(images)
    for doubt in doubts(name, found, images):
        say(f"warning: {doubt}")
    step = min(asked.batch, len(images.train))
    epochs = epochs_of(asked.steps, step, len(images.train))
    one = replace(find_recipe(recipe), batch=step, epochs=epochs, find=()).comparable()
    evaluator = ShortTraining(spec, one, execution, name)
    problem = TransferProblem(found, FineTuned(evaluator), asked.rates, asked.decays)
    places = asked.rates * asked.decays
    return PreparedTransfer(problem, evaluator, images, min(asked.trials or places, places), workers)


def _retrain(prepared: PreparedTransfer, best: "RankedTrial", asked: TransferSearch, out: Path, device: str) -> Trained:
    """Train with the chosen rate and decay on all but the test images, and test once."""
    from compound.execution import Execution
    from compound.search.transfer import epochs_of, weights_of
    from compound.training import Start, start_run, train

    one, everything = prepared.evaluator.recipe, prepared.images.without_holdout()
    rate, decay = weights_of(best.parameters)
    epochs = epochs_of(asked.steps, one.batch, len(everything.train))
    recipe = replace(one, rate=rate, weight_decay=decay, epochs=epochs)
    folder = out / f"rate-{rate:.4g}-decay-{best.parameters['decay']:.4g}"
    resumed, execution = (folder / "run.yaml").exists(), Execution(device)
    run = start_run(
        prepared.problem.network, everything, recipe, folder, execution, seed=asked.seed, resume=resumed
    )  # fmt: skip
    return Trained(*train(run, everything, start=Start(prepared.evaluator.weights), execution=execution, quiet=True))
