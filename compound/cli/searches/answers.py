"""What searches' results look like: one object, files, and lines of text."""

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from compound.cli.train import evaluation_text
from compound.quantity import brief_seconds

if TYPE_CHECKING:
    from compound.verbs.architecture import FoundArchitecture
    from compound.verbs.coefficients import FoundCoefficients
    from compound.verbs.transfer import FoundTransfer


def coefficients_text(found: "FoundCoefficients") -> str:
    """α, β, γ and how sure they are, and what the rule makes of the baseline."""
    from compound.search.findings import told_of_paper

    value = found.figures
    candidates = sum(entry.state == "complete" for entry in found.entries)
    low, high = value["interval"]
    rows = [
        f"{row['phi']:>3} {row['resolution']:>6} px {row['layers']:>7} {row['params']:>15,} {row['macs']:>19,} "
        f"{row['macs_factor']:>9.2f}×"
        for row in value["step2"]
    ]
    return "\n".join(
        [
            f"α {value['alpha']:.4g}, β {value['beta']:.4g}, γ {value['gamma']:.4g}: held-out accuracy "
            f"{value['accuracy']:.2%} (95 % interval {low:.2%} to {high:.2%}), the best of {candidates} candidates",
            f"{value['not_told_apart']} of the others cannot be told from it",
            *same_network(value),
            told_of_paper(value["paper"]),
            "",
            "  φ resolution  layers      parameters       multiply-adds   of the baseline's",
            *rows,
            "",
            f"{value['rule']} for --rule; leaderboard.csv, surface.svg and step2.json beside it",
        ]
    )


def same_network(value: Mapping[str, Any]) -> list[str]:
    """The rules that one training judged together."""
    triples = value["same_network"]
    if len(triples) == 1:
        return []
    ends = [
        f"{name} {min(of):g} to {max(of):g}" if min(of) < max(of) else f"{name} {of[0]:g}"
        for name, of in zip("αβγ", zip(*triples, strict=True), strict=True)
    ]
    return [
        f"{len(triples)} rules make this network at φ {value['phi']:g} ({', '.join(ends)}); "
        "the one whose larger networks keep nearest to the target's cost stands for them"
    ]


def transfer_text(found: "FoundTransfer") -> str:
    """The chosen rate and decay, how the places of the grid did, and what the last training reached."""
    from compound.search.transfer import grid

    value, run, result = found.to_json(), found.trained.run, found.trained.result
    lines = [
        grid(found.problem, found.entries),
        f"rate {run.recipe.rate:.4g}, decay {value['decay']:.4g} (as a weight decay {run.recipe.weight_decay:.4g}): "
        f"{value['holdout']:.2%} of the held-out images",
        f"trained again on all {run.data['images']['train']:,} training images: {evaluation_text(result)}",
        f"run directory {run.path}; weights {run.weights}",
    ]
    return "\n".join(lines)


def winner_text(found: "FoundArchitecture") -> str:
    """The winner's stages, what the search cost and found, and where it is."""
    winner, problem, folder, value = found.winner, found.problem, found.out, found.to_json()
    best = value["best"]
    lines = [
        winner.network.table(),
        "",
        f"{value['completed']} candidates of {problem.space.size:.3g} evaluated; best reward of the chosen one, "
        f"{best['accuracy']:.2%} accuracy in the search, {best['macs']:,} MACs, {best['params']:,} parameters",
    ]
    if problem.objective.cost == "latency":
        lines.append(f"{brief_seconds(winner.entry.fields['latency'])} predicted, the table's margin included")
    lines += [f"trained in full: {f.network.name} {f.accuracy:.2%}" for f in winner.finalists]
    lines.append(f"written to {folder}: network.yaml, leaderboard.csv, search.svg")
    if winner.run:
        place = shlex.quote(str(winner.run))
        lines.append(f"trained weights in {winner.run}; next: compound evaluate {place} --final")
    return "\n".join(lines)
