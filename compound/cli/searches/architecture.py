"""`compound search architecture`, `validate` and `predict`: the baseline itself, what its search found and is worth."""

from pathlib import Path
from typing import Annotated

import typer

from compound.cli.answers import Json, answer, note
from compound.cli.options import with_options
from compound.cli.options.training import ANYWHERE, Data, Devices, one_table, which_devices
from compound.cli.searches.answers import winner_text
from compound.cli.searches.options import MOST_SEEDS, SearchOptions, SearchSeed, SearchWorkers
from compound.errors import UsageError
from compound.quantity import quantity, seconds
from compound.verbs import architecture as verb
from compound.verbs.given import silent

SpaceName = Annotated[str, typer.Option("--space", help="mnasnet, small, layers, cells, or a YAML file.")]
Macs = Annotated[str | None, typer.Option(help="The target in multiply-adds, e.g. 400M.")]
Params = Annotated[str | None, typer.Option(help="The target in parameters, instead.")]
Activations = Annotated[str | None, typer.Option(help="The target in activations, instead.")]
Memory = Annotated[str | None, typer.Option(help="The target in bytes of inference, instead.")]
Latency = Annotated[str | None, typer.Option(help="The target as time of one call on --device FILE.json, e.g. 2ms.")]
ObjectiveForm = Annotated[str, typer.Option("--objective", help="soft, hard, or pareto (accuracy and cost apart).")]
Exponent = Annotated[float, typer.Option("--cost-exponent", help="w in accuracy · (cost / target)^w.")]
Below = Annotated[
    float | None, typer.Option("--exponent-below", help="The exponent below the target, where it is another (0: none).")
]
Least = Annotated[float, typer.Option(help="Candidates cost at least this times the target.")]
Most = Annotated[float, typer.Option(help="Candidates cost at most this times the target.")]
StrategyName = Annotated[
    str, typer.Option("--strategy", "--sampler", help="random, evolution, ppo, tpe, or nsga2 (for pareto).")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE",
        help="Of the strategy: population, sample (evolution); batch, epochs, rate (ppo); repeatable.",
    ),
]  # fmt: skip
ScreenName = Annotated[str, typer.Option("--screen", help="Pick among proposals: surrogate, naswot, synflow, none.")]
EvaluationName = Annotated[str, typer.Option("--evaluation", help="short, full, shared, shrunken, halving, or curves.")]
Minutes = Annotated[float, typer.Option(min=0.01, help="Of training the shared weights.")]
Epochs = Annotated[int | None, typer.Option(min=1, help="Epochs of a candidate's training, instead of the recipe's.")]
RecipeName = Annotated[
    str, typer.Option("--recipe", help="How networks are trained: paper, transfer, small, or a file.")
]
Holdout = Annotated[float, typer.Option(help="Share of the training images that candidates are judged by.")]
Finalists = Annotated[int | None, typer.Option(min=0, help="Best candidates that are trained in full; default 3.")]
Trials = Annotated[int, typer.Option(min=1, help="Candidates to evaluate.")]
Begin = Annotated[
    list[str] | None,
    typer.Option(metavar="NETWORK", help="A network of the space to judge first, as one made by hand; repeatable."),
]
Sample = Annotated[int, typer.Option(min=3, help="Networks that are trained in full.")]
Seeds = Annotated[int, typer.Option(min=1, max=MOST_SEEDS, help="Trainings of each.")]


@with_options(SearchOptions)
def architecture(
    data: Data,
    space: SpaceName = "mnasnet",
    macs: Macs = None,
    params: Params = None,
    activations: Activations = None,
    memory: Memory = None,
    latency: Latency = None,
    objective: ObjectiveForm = "soft",
    cost_exponent: Exponent = -0.07,
    exponent_below: Below = None,
    least: Least = 0.5,
    most: Most = 1.2,
    strategy: StrategyName = "evolution",
    settings: Settings = None,
    screen: ScreenName = "none",
    evaluation: EvaluationName = "short",
    minutes: Minutes = 5,
    epochs: Epochs = None,
    recipe: RecipeName = "small",
    holdout: Holdout = 0.2,
    finalists: Finalists = None,
    trials: Trials = 60,
    begin: Begin = None,
    workers: SearchWorkers = None,
    seed: SearchSeed = 0,
    *,
    options: SearchOptions,
    device: Devices = ANYWHERE,
    json: Json = False,
) -> None:
    """Search a space of networks for the one of the best accuracy at a cost (Section 4)."""
    from compound.mapping import from_mapping
    from compound.search.architecture_plan import ArchitecturePlan

    where, tables = which_devices(device)
    table = one_table(tables)
    cost, target = target_of(macs=macs, params=params, activations=activations, memory=memory, latency=latency)
    asked = {
        "data": data, "cost": cost, "target": target, "objective": objective, "cost_exponent": cost_exponent,
        "exponent_below": exponent_below,
        "least": least, "most": most, "evaluation": evaluation, "minutes": minutes, "epochs": epochs,
        "recipe": recipe, "holdout": holdout, "channels": options.channels,
        "root": str(options.root) if options.root else None, "download": options.download,
        "seed": seed, "device": where, "table": str(table) if table else None,
    }  # fmt: skip
    plan = from_mapping(ArchitecturePlan, asked, "options")
    proposals = verb.Proposals(strategy, screen, trials, finalists, tuple(begin or ()), settings_of(settings))
    found = verb.search_architecture(
        plan, space, options.out, proposals=proposals,
        sharing=options.sharing(workers, where, not json), say=silent if json else note,
    )  # fmt: skip
    answer(json, found.to_json(), winner_text(found))


def validate(
    folder: Annotated[Path, typer.Argument(metavar="SEARCH", help="The directory of an architecture search.")],
    sample: Sample = 20,
    seeds: Seeds = 1,
    epochs: Epochs = None,
    workers: SearchWorkers = None,
    json: Json = False,
) -> None:
    """Train a sample of candidates in full; how well did the search's evaluation rank them (Kendall's τ)?"""
    say = silent if json else note
    found = verb.validate_search(folder, sample, seeds=seeds, epochs=epochs, workers=workers, say=say)
    result, file = found.figures, found.file
    tau = result["proxy"]
    answer(
        json,
        found.to_json(),
        f"Kendall's τ {tau['tau']:.2f} (95 % interval {tau['low']:.2f} to {tau['high']:.2f}) between "
        f"{found.evaluation} evaluation and full training of {tau['count']} networks\n"
        f"to compare: {result['macs']['tau']:.2f} for multiply-adds alone, {result['params']['tau']:.2f} for parameters"
        + (f"; {result['truth']['tau']:.2f} between two seeds of full training" if "truth" in result else "")
        + f"\nwritten to {file}",
    )


def predict(
    search: Annotated[Path, typer.Argument(metavar="SEARCH", help="An architecture search, or its surrogate.json.")],
    networks: Annotated[
        list[str], typer.Argument(metavar="NETWORK…", help="Networks of its space: names, YAML files, run directories.")
    ],
    json: Json = False,
) -> None:
    """How accurate will these networks be, by what a search has learnt? Nothing is trained."""
    from compound.verbs.foreseen import predict_networks

    found = predict_networks(search, networks)
    known = found.surrogate
    lines = [f"{'network':<32} {'foreseen':>9} {'parameters':>13} {'multiply-adds':>15}"]
    lines += [f"{n.network:<32} {n.accuracy:>9.2%} {n.params:>13,} {n.macs:>15,}" for n in found.networks]
    lines.append(
        f"{known.of}, learnt from {known.networks} networks; of one that it has not seen it is off by "
        f"{100 * known.ridge.error:.1f} points (root mean square), and ranks them with Kendall's τ {known.tau:.2f}"
    )
    answer(json, found.to_json(), "\n".join(lines))


def settings_of(words: list[str] | None) -> dict[str, float]:
    found = {}
    for word in words or ():
        name, _, text = word.partition("=")
        try:
            found[name.strip()] = float(text)
        except ValueError:
            raise UsageError(f"--set {word!r} is not a setting; write NAME=NUMBER, e.g. population=64") from None
    return found


def target_of(**limits: str | None) -> tuple[str, float]:
    """The one cost that was given, and its target."""
    given = {name: text for name, text in limits.items() if text}
    if len(given) != 1:
        names = ", ".join(f"--{name}" for name in limits)
        raise UsageError(f"give one target: {names}; {'none' if not given else f'{len(given)}'} was given")
    ((name, text),) = given.items()
    return name, (seconds if name == "latency" else quantity)(text, f"--{name}")
