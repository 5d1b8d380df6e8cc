"""What searches' results look like: one object, files, and lines of text."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from compound.cli.common import note
from compound.cli.searches.run import best_of
from compound.cli.train import evaluation_text
from compound.files import write_json
from compound.quantity import brief_seconds

if TYPE_CHECKING:
    from compound.evaluation import Evaluation
    from compound.search.architecture import ArchitectureSearch
    from compound.search.coefficients import CoefficientProblem
    from compound.search.finish import Winner
    from compound.search.transfer import TransferProblem
    from compound.training import Run
    from compound.trials import RankedTrial, Search


def write_coefficients(
    search: "Search", problem: "CoefficientProblem", entries: "list[RankedTrial]", data: str, out: Path
) -> tuple[dict[str, Any], str]:
    """rule.yaml, leaderboard, surface, step2.json and result.json; the answer."""
    from compound.report.surface import write_surface
    from compound.search.findings import intervals, no_worse, step_2, write_rule
    from compound.trials import write_leaderboard

    write_leaderboard(entries, out, ["accuracy"])
    best = best_of(entries, out)
    rule = problem.rule(best.parameters)
    known = intervals(entries, problem.evaluator.settings["holdout_images"])
    points = [
        (e.fields["alpha"], e.fields["beta"], e.fields["gamma"], e.values[0], *known[e.number].ends)
        for e in entries
        if e.state == "complete" and e.values
    ]
    target = f"{problem.target.factor:g}x {problem.target.measure} within {problem.target.tolerance:.0%}"
    title = f"{problem.baseline.name} on {data}, φ {problem.phi:g}: {len(points)} candidates of {target}"
    write_surface(points, title, out)
    table = step_2(problem.baseline, rule)
    write_json(out / "step2.json", table)
    value = {
        **{state: sum(e.state == state for e in entries) for state in ("pruned", "failed")},
        "completed": sum(e.state in ("complete", "pruned") for e in entries),
        "alpha": rule.alpha,
        "beta": rule.beta,
        "gamma": rule.gamma,
        "phi": problem.phi,
        "accuracy": best.values[0] if best.values else None,
        "interval": list(known[best.number].ends),
        "not_told_apart": no_worse(entries, known),
        "images": problem.evaluator.settings["holdout_images"],
        "best": {"number": best.number, **best.parameters, **best.fields},
        "step2": table,
        "rule": str(out / "rule.yaml"),
        "out": str(out),
    }
    found = {"baseline": problem.baseline.name, "data": data, "phi": problem.phi, "target": target}
    found |= {n: value[n] for n in ("accuracy", "interval", "not_told_apart", "completed")}
    found |= {"trainings": problem.seeds, "sampler": search.strategy.name, "seed": search.seed}
    write_rule(rule, found, out / "rule.yaml")
    write_json(out / "result.json", value)
    return value, coefficients_text(value, table, len(points))


def coefficients_text(value: dict[str, Any], table: list[dict[str, Any]], candidates: int) -> str:
    low, high = value["interval"]
    rows = [
        f"{row['phi']:>3} {row['resolution']:>6} px {row['layers']:>7} {row['params']:>15,} {row['macs']:>19,} "
        f"{row['macs_factor']:>9.2f}×"
        for row in table
    ]
    return "\n".join(
        [
            f"α {value['alpha']:.4g}, β {value['beta']:.4g}, γ {value['gamma']:.4g}: held-out accuracy "
            f"{value['accuracy']:.2%} (95 % interval {low:.2%} to {high:.2%}), the best of {candidates} candidates",
            f"{value['not_told_apart']} of the others cannot be told from it",
            "",
            "  φ resolution  layers      parameters       multiply-adds   of the baseline's",
            *rows,
            "",
            f"{value['rule']} for --rule; leaderboard.csv, surface.svg and step2.json beside it",
        ]
    )


def transfer_told(
    problem: "TransferProblem", entries: "list[RankedTrial]", best: "RankedTrial", run: "Run", result: "Evaluation"
) -> tuple[dict[str, Any], str]:
    """The chosen rate and decay, how the places of the grid did, and what the last training reached."""
    from compound.search.transfer import at_an_end, grid

    accuracy = best.values[0] if best.values else None
    value = {
        **{state: sum(e.state == state for e in entries) for state in ("complete", "pruned", "failed")},
        "rate": run.recipe.rate,
        "weight_decay": run.recipe.weight_decay,
        "decay": best.parameters["decay"],
        "holdout": accuracy,
        "epochs": run.recipe.epochs,
        "batch": run.recipe.batch,
        "top1": result.top(1),
        "top1_interval": list(result.interval()),
        "images": result.images,
        "run": str(run.path),
    }
    end = at_an_end(problem, best)
    if end:
        note(f"warning: the chosen rate is the {end} of the grid; a better one may lie beyond")
    lines = [
        grid(problem, entries),
        f"rate {run.recipe.rate:.4g}, decay {value['decay']:.4g} (as a weight decay {run.recipe.weight_decay:.4g}): "
        f"{accuracy:.2%} of the held-out images",
        f"trained again on all {run.data['images']['train']:,} training images: {evaluation_text(result)}",
        f"run directory {run.path}; weights {run.weights}",
    ]
    return value, "\n".join(lines)


def winner_text(winner: "Winner", problem: "ArchitectureSearch", folder: Path, value: dict[str, Any]) -> str:
    """The winner's stages, what the search cost and found, and where it is."""
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
    return "\n".join(lines)
