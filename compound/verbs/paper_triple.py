"""The paper's α, β, γ beside those of a search: what they reach on the same images, and at what cost."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compound.search.coefficients import PAPER
from compound.search.findings import intervals
from compound.trials import STRATEGIES, RankedTrial
from compound.trials.sharing import Sharing, carry_out

if TYPE_CHECKING:
    from compound.verbs.coefficients import PreparedCoefficients


def judge_paper(
    prepared: "PreparedCoefficients", entries: list[RankedTrial], sharing: Sharing, journal: Path
) -> RankedTrial | None:
    """The paper's triple on these images: the candidate of its network, or a training of its own in the same storage.

    None where no such network can be made, or its training failed.
    """
    network = prepared.problem.network(PAPER)
    if network is None:
        return None
    rules = [(e, prepared.problem.rule(e.parameters)) for e in entries if e.state == "complete"]
    same = [e for e, rule in rules if prepared.problem.network(rule) == network]
    if same:
        return same[0]
    if sharing.study:
        sharing = replace(sharing, study=f"{sharing.study}: the paper’s")
    problem = replace(prepared.problem, space="paper")
    search = sharing.search(problem, journal, 1, STRATEGIES["grid"], prepared.asked.seed)
    title = f"the paper's coefficients of {problem.baseline.name}"
    (entry,) = carry_out(search, 1, not sharing.progress, title=title)
    return entry if entry.state == "complete" else None


def place_of(paper: RankedTrial, entries: list[RankedTrial], images: int) -> dict[str, Any]:
    """Where the paper's triple would stand among the candidates, which need not cost as much."""
    others = [e for e in entries if e.state == "complete" and e is not paper]
    known = intervals([replace(paper, number=-1), *others], images)[-1]
    return {
        **vars(PAPER),
        "accuracy": known.mean,
        "interval": list(known.ends),
        "place": 1 + sum(e.values > paper.values for e in others if e.values and paper.values),
        "of": len(others) + 1,
        "cost_factor": paper.fields["cost_factor"],
        "candidate": any(e is paper for e in entries),
    }
