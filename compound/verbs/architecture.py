"""`compound.search_architecture`: the baseline itself (Section 4); `validate_search`: what its search is worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compound.errors import UsageError
from compound.trials.sharing import Sharing, carry_out, folder_of
from compound.verbs.given import Place, Say, find_network, heard, silent

if TYPE_CHECKING:
    from compound.network import Network
    from compound.search.architecture import ArchitectureSearch
    from compound.search.architecture_plan import ArchitecturePlan
    from compound.search.finish import Winner
    from compound.search.space import Space
    from compound.trials import RankedTrial

FINALISTS = 3  # unless the search itself trains in full


@dataclass(frozen=True)
class Proposals:
    """How candidates are proposed, and how many: `strategy` random, evolution, ppo, tpe, or nsga2 for two objectives;
    `screen` picks among proposals by surrogate, naswot or synflow. The best `finalists` are trained in full, by what a
    regression over all trials makes of their accuracies; None: 3,
    or none where the search itself trains in full. `begin`: networks of the space that are judged before any is
    proposed, such as the one made by hand: what is found is then held against them. `settings` of the strategy:
    population and sample of evolution; batch, epochs and rate of ppo.
    """

    strategy: str = "evolution"
    screen: str = "none"
    trials: int = 60
    finalists: int | None = None
    begin: "tuple[Network | Place, ...]" = ()
    settings: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class FoundArchitecture:
    """The winner, its search, all trials in order of merit, and the folder of the results."""

    winner: "Winner"
    problem: "ArchitectureSearch"
    entries: "list[RankedTrial]"
    out: Path

    def to_json(self) -> dict[str, Any]:
        from compound.search.finish import winner_fields

        return {
            "completed": sum(entry.state == "complete" for entry in self.entries),
            "failed": sum(entry.state == "failed" for entry in self.entries),
            "best": winner_fields(self.winner, self.problem),
            "space_size": self.problem.space.size,
            "out": str(self.out),
        }


@dataclass(frozen=True)
class Validation:
    """Kendall's τ between a search's evaluation and full training, with what it rests on, as `file` has it."""

    figures: dict[str, Any]
    evaluation: str
    file: Path

    def to_json(self) -> dict[str, Any]:
        return {name: value for name, value in self.figures.items() if name != "rows"} | {"out": str(self.file)}


@heard
def search_architecture(
    plan: "ArchitecturePlan",
    space: "Space | Place" = "mnasnet",
    out: Place | None = None,
    *,
    proposals: Proposals = Proposals(),
    sharing: Sharing = Sharing(),
    say: Say = silent,
) -> FoundArchitecture:
    """Search a space of networks for the one of the best accuracy at a cost (Section 4).

    Args:
        plan: the data, the cost and its target, the objective, how candidates are judged, device and seed.
        space: the space, or `mnasnet`, `small`, `layers`, `cells`, or a YAML file.
        out: a folder for network.yaml, leaderboard, the front, and what `validate_search` needs.
        proposals: how candidates are proposed, and how many. sharing: where trials are kept, and who works on them.
        say: told how shared weights and finalists go.

    A search that was stopped goes on with the same call. Raises `compound.trials.SearchStopped` after Ctrl-C,
    `UsageError` for what cannot be.
    """
    from compound.execution import share_cores
    from compound.reporting.front import write_front
    from compound.search.architecture import affordable
    from compound.search.architecture_plan import share_weights
    from compound.search.finish import Finals, choose, figures, objectives, write_results, write_surrogate
    from compound.search.space import Space
    from compound.search.space_file import find_space
    from compound.search.strategies import architecture_strategy
    from compound.training.short import opened

    crew, execution = share_cores(sharing.workers, plan.device, sharing.threads)
    found = space if isinstance(space, Space) else find_space(str(space))
    images = opened(plan.spec)
    folder = folder_of(out, "search", found.name, images.name)
    strategy = architecture_strategy(
        proposals.strategy, found.for_data(images), proposals.trials,
        form=plan.objective, screen=proposals.screen, seed=plan.seed, settings=proposals.settings,
    )  # fmt: skip
    affordable(plan.problem(found, plan.trainer()), plan.seed)
    plan.save(folder, found)
    share_weights(plan, found, folder, say)
    problem = plan.problem(found, plan.evaluator(folder, execution.threads))
    search = sharing.search(
        problem, folder / "search.journal", proposals.trials, strategy, plan.seed, plan.pruner
    )  # fmt: skip
    search = replace(search, first=beginnings(proposals.begin, problem))
    entries = carry_out(search, crew, not sharing.progress, objectives(plan), f"{found.name} on {images.name}")
    usual = 0 if plan.evaluation == "full" else FINALISTS
    wanted = usual if proposals.finalists is None else proposals.finalists
    finals = Finals(plan.trainer(execution.threads), folder / "finalists")
    winner = choose(problem, entries, wanted, finals, plan.seed, say, crew)
    write_results(folder, plan, entries, winner)
    write_surrogate(folder, problem, entries, plan.evaluation)
    write_front(
        [figures(entry, problem) for entry in entries if entry.state == "complete"], figures(winner.entry, problem),
        folder, cost=plan.cost, target=plan.target, judged=f"held-out accuracy, evaluation {plan.evaluation}",
    )  # fmt: skip
    return FoundArchitecture(winner, problem, entries, folder)


def beginnings(networks: "Sequence[Network | Place]", problem: "ArchitectureSearch") -> tuple[dict[str, Any], ...]:
    """Where these networks lie in the space. Raises `UsageError` for one that does not, or not within the costs."""
    from compound.search.place import place_in

    found = []
    for one in networks:
        network = find_network(one)
        place = place_in(problem.space, network)
        if place is None:
            raise UsageError(
                f"{network.name} is no network of the space {problem.space.name}: its stem, rows and head cannot be "
                "chosen there; give another one, or a space of your own with its values among the choices"
            )
        if problem.candidate(place) is None:
            spent = problem.objective.spent(problem.space.network(place)) / problem.objective.target
            raise UsageError(
                f"{network.name} costs {spent:.2f} times the target; give --least and --most that let it in, or leave "
                "it out"
            )
        found.append(place)
    return tuple(found)


@heard
def validate_search(
    folder: Place,
    sample: int = 20,
    *,
    seeds: int = 1,
    epochs: int | None = None,
    workers: int | None = None,
    say: Say = silent,
) -> Validation:
    """Train a sample of candidates in full; how well did the search's evaluation rank them (Kendall's τ)?

    Args:
        folder: of `search_architecture`; the figures are kept in it, and what is there is not trained again.
        sample: networks that are trained. seeds: trainings of each. epochs: of each; None: the search's.
        workers: processes; None: one a core, up to four.

    Raises `UsageError` where there is no such search.
    """
    from compound.execution import share_cores
    from compound.search.architecture_plan import open_plan
    from compound.search.truth import validate

    plan, space = open_plan(Path(folder))
    proxy = plan.evaluator(Path(folder))
    problem = plan.problem(space, proxy)
    crew, execution = share_cores(workers, plan.device)
    truth = replace(plan, epochs=epochs or plan.epochs).trainer(execution.threads)
    numbers = range(plan.seed, plan.seed + seeds)
    file = Path(folder) / f"validation-{truth.recipe.epochs}-epochs.json"
    return Validation(validate(problem, proxy, truth, sample, numbers, file, say, crew), plan.evaluation, file)
