"""The end of an architecture search: finalists trained in full, one chosen, everything written down."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from compound.documents import read_json
from compound.errors import CompoundError
from compound.network import Network
from compound.notation import save_network
from compound.search.architecture import ArchitectureSearch
from compound.search.architecture_plan import ArchitecturePlan
from compound.search.objective import front, knee
from compound.search.surrogate import FEWEST, ConfigurationFeatures, Ridge, Surrogate
from compound.search.truth import trained
from compound.training.short import ShortTraining, opened
from compound.training.whole import whole_run
from compound.trials import RankedTrial, Reporter, write_leaderboard


@dataclass(frozen=True)
class Finalist:
    """A candidate that was trained in full: held-out accuracy, cost, and what the objective says of the two."""

    network: Network
    searched: float
    accuracy: float
    cost: float
    reward: float


@dataclass(frozen=True)
class Finals:
    """`Evaluator` of finalists: the trainings of `training` as runs of `folder`, whose test images are kept for later.

    So the winner has its weights where it was trained. A run that is there is read, and one that was cut off goes on.
    """

    training: ShortTraining
    folder: Path

    def by(self, crew: int, workers: int) -> "Finals":
        """The same for `crew` processes, which have the threads of `workers`."""
        execution = self.training.execution
        threads = execution.threads and execution.threads * workers // crew
        return replace(self, training=replace(self.training, execution=replace(execution, threads=threads)))

    def run(self, network: Network, seed: int) -> Path:
        """Where the run of `network` lies."""
        return self.folder / f"{network.name}-seed-{seed}"

    @property
    def settings(self) -> Mapping[str, Any]:
        return self.training.settings

    def __call__(self, network: Network, seed: int, report: Reporter) -> float:
        data, execution = opened(self.training.spec), self.training.execution
        execution.take_threads()
        out, recipe = self.run(network, seed), self.training.recipe
        run = whole_run(network, data, recipe, out, execution, seed, final=False)
        return float(read_json(run.held_out, f"delete {run.path}, and the search trains it again")["top1"])


@dataclass(frozen=True)
class Winner:
    """The chosen network, and why, and the `run` that has its weights.

    `finalists` is empty, and the run None, where the search itself trained in full.
    """

    entry: RankedTrial
    network: Network
    finalists: tuple[Finalist, ...]
    front: tuple[RankedTrial, ...]
    run: Path | None = None


def choose(
    problem: ArchitectureSearch,
    entries: Sequence[RankedTrial],
    finalists: int,
    finals: Finals,
    seed: int,
    say: Callable[[str], None] = print,
    workers: int = 1,
) -> Winner:
    """The best candidate, of two objectives the knee of the front; with `finalists` the best of as many by `finals`.

    They have the same seed and images, so that they differ by their networks alone; `workers` processes train them,
    fewer of more threads where finalists are fewer.
    """
    complete = [entry for entry in entries if entry.state == "complete"]
    if not complete:
        raise CompoundError("no candidate could be evaluated; see the errors in leaderboard.json")
    points = [figures(entry, problem) for entry in complete]
    on_front = front(points)
    if problem.objective.form == "pareto":
        middle = knee(points)
        order = sorted(on_front, key=lambda i: abs(on_front.index(i) - on_front.index(middle or on_front[0])))
    else:
        order = by_merit(problem, complete) if finalists else list(range(len(complete)))  # the leaderboard's
    picked = [complete[i] for i in order[: max(finalists, 1)]]
    networks = [network_of(entry, problem) for entry in picked]
    last: list[Finalist] = []
    crew = min(workers, len(picked))
    if finalists:
        say(f"training the best {len(picked)} in full, {crew} at a time")
    found = trained(finals.by(crew, workers), networks[:finalists], [seed], crew)
    for entry, network, (accuracy,) in zip(picked, networks, found, strict=False):
        searched, spent = figures(entry, problem)
        last.append(Finalist(network, searched, accuracy, spent, problem.objective.reward(accuracy, spent)))
        share = f"{accuracy:.2%} of the held-out images after full training"
        say(f"finalist {len(last)}/{len(picked)}: {network.name}, {share}")
    at = max(range(len(last)), key=lambda i: last[i].reward) if last else 0
    run = finals.run(networks[at], seed) if last else None
    return Winner(picked[at], networks[at], tuple(last), tuple(complete[i] for i in on_front), run)


def by_merit(problem: ArchitectureSearch, complete: Sequence[RankedTrial]) -> list[int]:
    """Positions, the best first, by the reward of what a surrogate of all of them makes of each one's accuracy.

    That takes noise out of accuracies that are cheap (docs/decisions: spaces and shared weights). Of few candidates, it
    is the leaderboard's order.
    """
    if len(complete) < FEWEST:
        return list(range(len(complete)))
    read, points = ConfigurationFeatures(problem.space), [figures(entry, problem) for entry in complete]
    x = np.stack([read(entry.parameters) for entry in complete])
    even = Ridge.fit(x, np.array([accuracy for accuracy, _ in points])).predict(x)
    rewards = [problem.objective.reward(float(one), spent) for one, (_, spent) in zip(even, points, strict=True)]
    return sorted(range(len(complete)), key=lambda i: -rewards[i])


def network_of(entry: RankedTrial, problem: ArchitectureSearch) -> Network:
    return problem.space.network(entry.parameters)


def figures(entry: RankedTrial, problem: ArchitectureSearch) -> tuple[float, float]:
    """(accuracy, cost) of a candidate."""
    return float(entry.fields["accuracy"]), float(entry.fields[problem.objective.cost])


def write_results(folder: Path, plan: ArchitecturePlan, entries: Sequence[RankedTrial], winner: Winner) -> None:
    """network.yaml, leaderboard.csv and leaderboard.json."""
    save_network(winner.network, folder / "network.yaml")
    write_leaderboard(entries, folder, objectives(plan))


def write_surrogate(
    folder: Path, problem: ArchitectureSearch, entries: Sequence[RankedTrial], evaluation: str
) -> Path | None:
    """surrogate.json: what the search has learnt, for `search predict`; None where it judged too few."""
    known = [(entry.parameters, float(entry.fields["accuracy"])) for entry in entries if entry.state == "complete"]
    if len(known) < FEWEST:
        return None
    told = f"held-out accuracy, evaluation {evaluation}"
    return Surrogate.learnt(problem.space, known, told).save(folder / "surrogate.json")


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
        "run": str(winner.run) if winner.run else None,
        "trained": [
            {"network": f.network.name, "searched": f.searched, "accuracy": f.accuracy, "reward": f.reward}
            for f in winner.finalists
        ],
        "front": [[e.fields["accuracy"], e.fields[problem.objective.cost], e.fields["network"]] for e in winner.front],
    }
