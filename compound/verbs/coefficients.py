"""`compound.search_coefficients`: α, β, γ for one's own baseline and data (STEP 1 of the paper's Section 3.3)."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compound.errors import UsageError
from compound.files import make_folder, write_json
from compound.network import Network
from compound.scaling import CompoundRule
from compound.trials.sharing import Sharing, best_of, carry_out, folder_of, median_pruner
from compound.verbs.given import Place, Say, find_network, heard, silent

if TYPE_CHECKING:
    from compound.data import DataSpec
    from compound.search.coefficients import CoefficientProblem
    from compound.training import Recipe
    from compound.training.short import ShortTraining
    from compound.trials import RankedTrial, Search

MOST_TRIALS = 24  # where none are asked for
EPOCHS = 6
HOLDOUT = 0.2  # of the training images, to choose by
LARGEST_PHI = 32  # a network of 2^32 times its baseline's cost is never built


@dataclass(frozen=True)
class CoefficientSearch:
    """What is searched. Candidates are scaled at `phi` to `factor` times the baseline's `cost` (None: 2^φ), which they
    may miss by the share `tolerance`.

    `cost`: macs, params, activations, memory, theory, or latency on the device of `table`, a file. `step`: of the grid
    of α, β, γ. `sampler`: grid, random, tpe, gp or nsga2. `trials`: configurations; None: all, at most 24. `seeds`:
    trainings a candidate. `prune`: stop candidates below the median of the others. `seed`: of the choices, and of the
    first training of each candidate.

    Raises `UsageError` for a φ or a factor that no network can be scaled by.
    """

    phi: float = 1.0
    factor: float | None = None
    cost: str = "macs"
    tolerance: float = 0.05
    table: Path | None = None
    step: float = 0.05
    sampler: str = "grid"
    trials: int | None = None
    seeds: int = 2
    prune: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.phi <= LARGEST_PHI:
            raise UsageError(f"phi {self.phi:g} does not scale up; use 1, as the paper does, or up to {LARGEST_PHI}")
        if self.factor is not None and not 1 < self.factor <= 2.0**LARGEST_PHI:
            raise UsageError(f"target cost {self.factor:g}x does not scale up; use e.g. 2x, at most 2^{LARGEST_PHI}")


@dataclass(frozen=True)
class FoundCoefficients:
    """The best rule; all trials in order of merit; the figures as plain values, which `out` has in result.json."""

    rule: CompoundRule
    entries: "list[RankedTrial]"
    figures: dict[str, Any]
    out: Path

    def to_json(self) -> dict[str, Any]:
        return self.figures


@dataclass(frozen=True)
class PreparedCoefficients:
    """A search that can be estimated or carried out."""

    problem: "CoefficientProblem"
    evaluator: "ShortTraining"
    asked: CoefficientSearch
    data: str
    trials: int
    workers: int


@heard
def search_coefficients(
    network: Network | Place,
    data: "DataSpec | Place",
    recipe: "Recipe | Place | None" = None,
    out: Place | None = None,
    *,
    asked: CoefficientSearch = CoefficientSearch(),
    sharing: Sharing = Sharing(),
    say: Say = silent,
) -> FoundCoefficients:
    """Find α, β, γ by training candidates of about equal cost, and write the rule with what it rests on.

    Args:
        network: the baseline: a network, or a name, a YAML file, a run directory.
        data: the question that opens the images, or only where they lie; a fifth of the training images judge.
        recipe: of every training, or its name or file; by default `small` with 6 epochs.
        out: a folder for rule.yaml, leaderboard, surface, step2.json and result.json; by default below `runs`.
        asked: what is searched. sharing: where trials are kept, and who works on them.
        say: told what is done otherwise than asked.

    A search that was stopped goes on with the same call. Raises `compound.trials.SearchStopped` after Ctrl-C,
    `CompoundError` where no trial was completed, `UsageError` for what cannot be.
    """
    from compound.trials import find_strategy
    from compound.verbs.paper_triple import judge_paper

    prepared = prepare(network, data, recipe, asked, sharing, say)
    problem = prepared.problem
    place = make_folder(folder_of(out, "coefficients", problem.baseline.name, prepared.data))
    journal, strategy = place / "search.journal", find_strategy(asked.sampler)
    search = sharing.search(problem, journal, prepared.trials, strategy, asked.seed, median_pruner(asked.prune))
    entries = carry_out(search, prepared.workers, not sharing.progress)
    best_of(entries, place)  # before more is trained
    paper = judge_paper(prepared, entries, sharing, journal)
    return write_findings(search, problem, entries, prepared.data, place, paper)


def prepare(
    network: Network | Place,
    data: "DataSpec | Place",
    recipe: "Recipe | Place | None",
    asked: CoefficientSearch,
    sharing: Sharing,
    say: Say = silent,
) -> PreparedCoefficients:
    """The search's problem, and how much of it is tried."""
    from compound.execution import share_cores
    from compound.search.coefficients import CoefficientProblem
    from compound.search.spending import device_latency
    from compound.search.target import Target
    from compound.training import RECIPES
    from compound.training.short import ShortTraining, opened
    from compound.trials import find_strategy
    from compound.verbs.train import find_recipe

    strategy, baseline = find_strategy(asked.sampler), find_network(network)
    workers, execution = share_cores(sharing.workers, sharing.device, sharing.threads)
    spec = find_spec(data, HOLDOUT, asked.seed)
    chosen = find_recipe(recipe) if recipe is not None else replace(RECIPES["small"], epochs=EPOCHS)
    evaluator = ShortTraining(spec, chosen.comparable(), execution)
    images = opened(spec)
    measure = device_latency(asked.cost, asked.table)
    factor = 2.0**asked.phi if asked.factor is None else asked.factor
    problem = CoefficientProblem(
        baseline.for_data(images),
        evaluator,
        phi=asked.phi,
        target=Target(factor, asked.tolerance, asked.cost, measure),
        space="grid" if strategy.sampler is None else "shares",
        step=asked.step,
        seeds=asked.seeds,
    )
    count = min(asked.trials or MOST_TRIALS, len(problem.candidates))
    if asked.trials and asked.trials > count:
        say(f"there are {count} candidates, fewer than --trials {asked.trials}: all of them are tried")
    return PreparedCoefficients(problem, evaluator, asked, images.name, count, workers)


def find_spec(given: "DataSpec | Place", holdout: float, seed: int) -> "DataSpec":
    """The question that opens the images; of a place, with `holdout` and `seed`."""
    from compound.data import DataSpec

    return given if isinstance(given, DataSpec) else DataSpec(str(given), holdout=holdout, seed=seed)


def write_findings(
    search: "Search",
    problem: "CoefficientProblem",
    entries: "list[RankedTrial]",
    data: str,
    out: Path,
    paper: "RankedTrial | None" = None,
) -> FoundCoefficients:
    """rule.yaml, leaderboard, surface, step2.json and result.json."""
    from compound.reporting.surface import write_surface
    from compound.search.findings import intervals, no_worse, step_2, write_rule
    from compound.trials import write_leaderboard
    from compound.verbs.paper_triple import place_of

    write_leaderboard(entries, out, ["accuracy"])
    best = best_of(entries, out)
    rule, images = problem.rule(best.parameters), problem.evaluator.settings["holdout_images"]
    known = intervals(entries, images)
    points = [
        (e.fields["alpha"], e.fields["beta"], e.fields["gamma"], e.values[0], *known[e.number].ends)
        for e in entries
        if e.state == "complete" and e.values
    ]
    target = f"{problem.target.factor:g}x {problem.target.measure} within {problem.target.tolerance:.0%}"
    write_surface(
        points, f"{problem.baseline.name} on {data}, φ {problem.phi:g}: {len(points)} candidates of {target}", out
    )  # fmt: skip
    table = step_2(problem.baseline, rule)
    write_json(out / "step2.json", table)
    value = {
        **{state: sum(e.state == state for e in entries) for state in ("pruned", "failed")},
        "completed": sum(e.state in ("complete", "pruned") for e in entries),
        **vars(rule),
        "phi": problem.phi,
        "accuracy": best.values[0] if best.values else None,
        "interval": list(known[best.number].ends),
        "not_told_apart": no_worse(entries, known),
        "images": images,
        "best": {"number": best.number, **best.parameters, **best.fields},
        "same_network": [list(vars(one).values()) for one in problem.same(rule)],
        "paper": place_of(paper, entries, images) if paper else None,
        "step2": table,
        "rule": str(out / "rule.yaml"),
        "out": str(out),
    }
    found = {"baseline": problem.baseline.name, "data": data, "phi": problem.phi, "target": target}
    found |= {n: value[n] for n in ("accuracy", "interval", "not_told_apart", "completed", "paper")}
    found |= {"trainings": problem.seeds, "sampler": search.strategy.name, "seed": search.seed}
    write_rule(rule, found, out / "rule.yaml")
    write_json(out / "result.json", value)
    return FoundCoefficients(rule, entries, value, out)
