"""`compound search coefficients`: α, β, γ for one's own baseline and data, into a rule file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compound.cli.common import Json, answer, find_network, note
from compound.cli.searching import (
    Lease,
    Prune,
    SamplerName,
    SearchOut,
    SearchSeed,
    SearchWorkers,
    Storage,
    StudyName,
    Timeout,
    best_of,
    carry_out,
    cores,
    default_workers,
    open_search,
)
from compound.cli.training import (
    BatchSize,
    Data,
    Devices,
    Download,
    ImageChannels,
    Rate,
    RecipeName,
    Root,
    TrainingOptions,
    which_devices,
)
from compound.errors import UsageError
from compound.files import make_folder, write_json
from compound.quantity import short

if TYPE_CHECKING:
    from compound.search.coefficients import CoefficientProblem, Target
    from compound.search.engine import Search
    from compound.search.spending import DeviceLatency
    from compound.search.training import ShortTraining

MOST_TRIALS = 24  # where none are asked for
EPOCHS = 6
SAMPLE = 5  # candidates whose training is measured for --search-cost

Trials = Annotated[
    int | None, typer.Option(min=1, help=f"Configurations; default all, at most {MOST_TRIALS}. More go on.")
]
Seeds = Annotated[int, typer.Option(min=1, help="Trainings a candidate, each with a seed of its own.")]


def coefficients(
    baseline: Annotated[str, typer.Argument(metavar="BASELINE", help="The network to scale: a name or a YAML file.")],
    data: Data,
    phi: Annotated[float, typer.Option(help="The φ at which candidates are made.")] = 1.0,
    target_cost: Annotated[str | None, typer.Option(help="Times the baseline's cost; default 2^φ, e.g. 2x.")] = None,
    cost: Annotated[
        str, typer.Option(help="Held to the target: macs, params, activations, memory, theory, latency.")
    ] = "macs",
    tolerance: Annotated[float, typer.Option(help="Share by which a candidate may miss the target.")] = 0.05,
    step: Annotated[float, typer.Option(help="Step of the grid of α, β, γ.")] = 0.05,
    sampler: SamplerName = "grid",
    trials: Trials = None,
    seeds: Seeds = 2,
    prune: Prune = False,
    recipe: RecipeName = "small",
    epochs: Annotated[int | None, typer.Option(help=f"Epochs a training; default {EPOCHS}.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Minutes a training, instead of epochs.")] = None,
    batch: BatchSize = None,
    rate: Rate = None,
    holdout: Annotated[float, typer.Option(help="Share of the training images to choose by.")] = 0.2,
    channels: ImageChannels = None,
    workers: SearchWorkers = None,
    seed: SearchSeed = 0,
    storage: Storage = None,
    study: StudyName = None,
    timeout: Timeout = None,
    lease: Lease = 60.0,
    out: SearchOut = None,
    search_cost: Annotated[bool, typer.Option("--search-cost", help="Estimate time and compute, and stop.")] = False,
    device: Devices = ("auto",),  # type: ignore[assignment]
    root: Root = None,
    download: Download = False,
    json: Json = False,
) -> None:
    """Find α, β, γ (STEP 1 of the paper's Section 3.3) by training candidates of about equal cost."""
    from dataclasses import replace

    from compound.search.coefficients import CoefficientProblem
    from compound.search.proposals import find_strategy
    from compound.search.spending import device_latency
    from compound.search.training import Images, ShortTraining

    strategy = find_strategy(sampler)
    where, table = which_devices(device)
    network = find_network(baseline)
    options = TrainingOptions(recipe=recipe, epochs=epochs or EPOCHS, minutes=minutes, batch=batch, rate=rate)
    chosen = options.find_recipe()
    if chosen.precision == "auto":  # what a machine measures must not decide between candidates
        chosen = replace(chosen, precision="fp32")
    crew = workers or default_workers(where)
    threads = max(cores() // crew, 1)
    images = Images(data, holdout, channels, seed, root, download)
    evaluator = ShortTraining(images, chosen, threads, where)
    opened = images.open()
    measure = device_latency(cost, table, len(opened.classes), opened.channels)
    problem = CoefficientProblem(
        network,
        evaluator,
        phi=phi,
        target=_target(target_cost, phi, cost, tolerance, measure),
        space="grid" if strategy.sampler is None else "shares",
        step=step,
        seeds=seeds,
        classes=len(opened.classes),
        channels=opened.channels,
    )
    count = min(trials or MOST_TRIALS, len(problem.candidates))
    if trials and trials > count:
        note(f"there are {count} candidates, fewer than --trials {trials}: all of them are tried")
    if search_cost:
        return answer(json, *_estimate(problem, evaluator, count, crew))
    out = out or Path("runs") / f"coefficients-{network.name}-{opened.name}".replace(" ", "-")
    make_folder(out)
    search = open_search(
        problem, storage or str(out / "search.journal"), count, strategy, seed, study, prune, timeout, lease
    )
    carry_out(search, crew, json)
    value, text = _write(search, problem, opened.name, out)
    return answer(json, value, text)


def _target(text: str | None, phi: float, measure: str, tolerance: float, own: "DeviceLatency | None") -> "Target":
    from compound.search.coefficients import Target

    try:
        factor = float(text.lower().rstrip("x×")) if text else 2.0**phi
    except ValueError:
        raise UsageError(f"--target-cost {text!r} is not a multiple; write e.g. 2x") from None
    return Target(factor, tolerance, measure, own)


def _estimate(
    problem: "CoefficientProblem", evaluator: "ShortTraining", trials: int, workers: int
) -> tuple[dict[str, Any], str]:
    """Time by a few measured steps of some candidates, compute by counted multiply-adds."""
    from compound.cost import cost
    from compound.search.training import median_seconds

    networks = [network for _, network in problem.candidates.values()]
    sample = networks[:: max(len(networks) // SAMPLE, 1)][:SAMPLE]
    each = median_seconds(evaluator, sample)
    seconds = each * problem.seeds * trials / min(workers, trials)
    images = len(evaluator.images.open().train)
    macs = sum(cost(network, problem.classes, problem.channels).macs for network in networks) / len(networks)
    # A training step costs three forward passes: one forward, two backward.
    compute = 3 * macs * images * evaluator.recipe.epochs * problem.seeds * trials
    value = {"candidates": len(networks), "trials": trials, "seeds": problem.seeds, "workers": workers}
    value |= {"seconds_a_training": round(each, 1), "seconds": round(seconds), "macs": round(compute)}
    text = (
        f"{len(networks)} candidates, {trials} of them tried, {problem.seeds} trainings each\n"
        f"about {each:.0f} s a training, {seconds / 60:.0f} minutes with {workers} workers "
        f"(by measured steps; side by side they may be slower)\nabout {short(compute)} multiply-adds"
    )
    return value, text


def _write(search: "Search", problem: "CoefficientProblem", data: str, out: Path) -> tuple[dict[str, Any], str]:
    """rule.yaml, leaderboard, surface, step2.json and result.json; the answer."""
    import optuna

    from compound.report.surface import write_surface
    from compound.search.findings import intervals, no_worse, step_2, write_rule
    from compound.search.leaderboard import leaderboard, write_leaderboard

    study = optuna.load_study(study_name=search.name, storage=search.open())
    entries = leaderboard(study.get_trials(deepcopy=False), problem.directions)
    write_leaderboard(entries, out, ["accuracy"])
    best = best_of(entries, out)
    rule = problem.rule(best.parameters)
    known = intervals(entries, problem.evaluator.settings["holdout_images"])
    complete = [entry for entry in entries if entry.state == "complete"]
    points = [
        (e.fields["alpha"], e.fields["beta"], e.fields["gamma"], e.values[0], *known[e.number].ends)
        for e in complete
        if e.values
    ]
    target = f"{problem.target.factor:g}x {problem.target.measure} within {problem.target.tolerance:.0%}"
    title = f"{problem.baseline.name} on {data}, φ {problem.phi:g}: {len(points)} candidates of {target}"
    write_surface(points, title, out)
    table = step_2(problem.baseline, rule, problem.classes, problem.channels)
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
    return value, _text(value, table, len(points))


def _text(value: dict[str, Any], table: list[dict[str, Any]], candidates: int) -> str:
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
