"""The end of an architecture search: finalists trained in full, one chosen, everything written down."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compound.errors import CompoundError
from compound.network import Network
from compound.notation import save_network
from compound.search.architecture import ArchitectureSearch
from compound.search.architecture_plan import ArchitecturePlan
from compound.search.objective import front, knee
from compound.search.truth import trained
from compound.trials import RankedTrial, write_leaderboard


@dataclass(frozen=True)
class Finalist:
    """A candidate that was trained in full: held-out accuracy, cost, and what the objective says of the two."""

    network: Network
    searched: float
    accuracy: float
    cost: float
    reward: float


@dataclass(frozen=True)
class Winner:
    """The chosen network, and why: `finalists` is empty where the search itself trained in full."""

    entry: RankedTrial
    network: Network
    finalists: tuple[Finalist, ...]
    front: tuple[RankedTrial, ...]


def choose(
    plan: ArchitecturePlan,
    problem: ArchitectureSearch,
    entries: Sequence[RankedTrial],
    finalists: int,
    say: Callable[[str], None] = print,
    workers: int = 1,
    threads: int | None = None,
) -> Winner:
    """The best candidate, of two objectives the knee of the front; with `finalists` the best of as many after training.

    Finalists have the same seed and images, so that they differ by their networks alone; `workers` processes of
    `threads` threads train them, fewer of more where finalists are fewer.
    """
    complete = [entry for entry in entries if entry.state == "complete"]
    if not complete:
        raise CompoundError("no candidate could be evaluated; see the errors in leaderboard.json")
    points = [figures(entry, problem) for entry in complete]
    on_front = front(points)
    if plan.objective == "pareto":
        middle = knee(points)
        order = sorted(on_front, key=lambda i: abs(on_front.index(i) - on_front.index(middle or on_front[0])))
    else:
        order = list(range(len(complete)))  # the leaderboard's
    picked = [complete[i] for i in order[: max(finalists, 1)]]
    networks = [network_of(entry, problem) for entry in picked]
    last: list[Finalist] = []
    crew = min(workers, len(picked))
    if finalists:
        say(f"training the best {len(picked)} in full, {crew} at a time")
    truth = plan.trainer(threads and threads * workers // crew)
    found = trained(truth, networks[:finalists], [plan.seed], crew)
    for entry, network, (accuracy,) in zip(picked, networks, found, strict=False):
        searched, spent = figures(entry, problem)
        last.append(Finalist(network, searched, accuracy, spent, problem.objective.reward(accuracy, spent)))
        share = f"{accuracy:.2%} of the held-out images after full training"
        say(f"finalist {len(last)}/{len(picked)}: {network.name}, {share}")
    at = max(range(len(last)), key=lambda i: last[i].reward) if last else 0
    return Winner(picked[at], networks[at], tuple(last), tuple(complete[i] for i in on_front))


def network_of(entry: RankedTrial, problem: ArchitectureSearch) -> Network:
    return problem.space.network(entry.parameters)


def figures(entry: RankedTrial, problem: ArchitectureSearch) -> tuple[float, float]:
    """(accuracy, cost) of a candidate."""
    return float(entry.fields["accuracy"]), float(entry.fields[problem.objective.cost])


def write_results(folder: Path, plan: ArchitecturePlan, entries: Sequence[RankedTrial], winner: Winner) -> None:
    """network.yaml, leaderboard.csv and leaderboard.json."""
    save_network(winner.network, folder / "network.yaml")
    write_leaderboard(entries, folder, objectives(plan))


def objectives(plan: ArchitecturePlan) -> tuple[str, ...]:
    """What the values of a trial are called."""
    return ("accuracy", plan.cost) if plan.objective == "pareto" else ("reward",)


def winner_fields(winner: Winner, problem: ArchitectureSearch) -> dict[str, Any]:
    """The winner as plain values."""
    entry = winner.entry
    return {
        "network": winner.network.name,
        "accuracy": entry.fields["accuracy"],
        "values": list(entry.values or ()),
        **{name: entry.fields[name] for name in ("macs", "params", "activations", "memory")},
        "parameters": entry.parameters,
        "trained": [
            {"network": f.network.name, "searched": f.searched, "accuracy": f.accuracy, "reward": f.reward}
            for f in winner.finalists
        ],
        "front": [[e.fields["accuracy"], e.fields[problem.objective.cost], e.fields["network"]] for e in winner.front],
    }
