"""What a search or a study will take, before it is begun: time by a few measured steps, compute by counted cost."""

from typing import TYPE_CHECKING, Any

from compound.cost import cost
from compound.quantity import short

if TYPE_CHECKING:
    from compound.verbs.coefficients import PreparedCoefficients
    from compound.verbs.study import PreparedStudy
    from compound.verbs.transfer import PreparedTransfer

SAMPLE = 5  # candidates of a search whose training is measured
PASSES = 3  # forward passes that a training step costs: one forward, two backward
HOW = "(by measured steps; side by side they may be slower)"

Estimate = tuple[dict[str, Any], str]


def coefficients_estimate(found: "PreparedCoefficients") -> Estimate:
    """Of all trials; some of the candidates are measured."""
    from compound.training.short import median_seconds, opened

    problem, evaluator, trials, workers = found.problem, found.evaluator, found.trials, found.workers
    networks = [network for _, network in problem.candidates.values()]
    sample = networks[:: max(len(networks) // SAMPLE, 1)][:SAMPLE]
    each = median_seconds(evaluator, sample)
    seconds = (
        each * problem.seeds * (trials / min(workers, trials) + 1)
    )  # and the paper's triple, which may be one more
    images = len(opened(evaluator.spec).train)
    macs = sum(cost(network).training_macs for network in networks) / len(networks)
    compute = PASSES * macs * images * evaluator.recipe.epochs * problem.seeds * trials
    value: dict[str, Any] = {"seconds_a_training": round(each, 1), "candidates": len(networks)}
    value |= {"trials": trials, "seeds": problem.seeds, "workers": workers}
    value |= {"seconds": round(seconds), "macs": round(compute)}
    return value, (
        f"{len(networks)} candidates, {trials} of them tried, {problem.seeds} trainings each, and the paper's triple\n"
        f"about {each:.0f} s a training, {seconds / 60:.0f} minutes with {workers} workers "
        f"{HOW}\nabout {short(compute)} multiply-adds"
    )


def transfer_estimate(found: "PreparedTransfer") -> Estimate:
    """Of all fine-tunings; the last training, on all images, is one more."""
    problem, training, trials, workers = found.problem, found.evaluator, found.trials, found.workers
    each = training.seconds(problem.network)
    seconds = each * (trials / min(workers, trials) + 1)
    value: dict[str, Any] = {"trials": trials, "workers": workers, "epochs": training.recipe.epochs}
    value |= {"seconds_a_training": round(each, 1), "seconds": round(seconds)}
    return value, (
        f"{trials} fine-tunings of {training.recipe.epochs:,} epochs, about {each:,.0f} s each; with {workers} workers "
        f"and the last one {seconds / 60:,.0f} minutes {HOW}"
    )


def study_estimate(found: "PreparedStudy") -> Estimate:
    """Of all runs; every network is measured."""
    from compound.training.short import opened

    problem, trainer, workers = found.problem, found.trainer, found.workers
    layout = problem.layout
    each = {v.name: trainer.seconds(layout.networks[v.name]) for v in layout.variants}
    seconds = sum(each.values()) * problem.seeds / min(workers, problem.runs)
    images = len(opened(trainer.spec).train)
    passes = [cost(layout.networks[v.name]).training_macs for v in layout.variants]
    compute = PASSES * images * trainer.recipe.epochs * problem.seeds * sum(passes)
    rows = [
        {"name": v.name, "group": v.group, "resolution": v.resolution, "params": v.params, "macs": v.macs,
         "latency": v.latency, "seconds_a_run": round(each[v.name], 1)}
        for v in layout.variants
    ]  # fmt: skip
    value = {"variants": rows, "seeds": problem.seeds, "runs": problem.runs, "workers": workers}
    value |= {"seconds": round(seconds), "macs": compute, "notes": list(layout.notes)}
    lines = [f"{'network':<28} {'group':<14} {'px':>4} {'parameters':>12} {'multiply-adds':>16} {'s a run':>8}"]
    lines += [
        f"{v.name:<28} {v.group:<14} {v.resolution:>4} {v.params:>12,} {v.macs:>16,} {each[v.name]:>8.0f}"
        for v in layout.variants
    ]
    lines.append(
        f"{problem.runs} runs of {trainer.recipe.epochs} epochs: about {seconds / 60:.0f} minutes with {workers} "
        f"workers, {trainer.execution.threads} threads each {HOW}\nabout {short(compute)} multiply-adds"
    )
    return value, "\n".join(lines)
