"""`compound study`: does a way of scaling beat the others on one's own data, and how sure is that?"""

import shlex
import sys
from typing import Annotated

import typer

from compound.cli.answers import Json, answer, note
from compound.cli.options import with_options
from compound.cli.options.networks import RuleName, in_order
from compound.cli.options.training import (
    ANYWHERE,
    BatchSize,
    Data,
    Devices,
    Rate,
    RecipeName,
    TrainingOptions,
    one_table,
    which_devices,
)
from compound.cli.searches.estimates import study_estimate
from compound.cli.searches.options import MOST_SEEDS, SearchOptions, SearchWorkers
from compound.verbs import study as verb

Plan = Annotated[str, typer.Option("--plan", help="compound, single, width-on, rules, family, or a YAML file.")]
Ratio = Annotated[float, typer.Option(help="Cost of the scaled networks, as a multiple of the baseline's.")]
Seeds = Annotated[
    int, typer.Option(min=1, max=MOST_SEEDS, help="Trainings of each network, with seeds from 0. More go on.")
]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads of each process; default the cores shared out.")]
Estimate = Annotated[bool, typer.Option("--estimate", help="Show the networks, estimate the time, and stop.")]


@with_options(SearchOptions)
def study(
    baseline: Annotated[str, typer.Argument(metavar="BASELINE", help="The network to scale: a name or a YAML file.")],
    data: Data,
    plan: Plan = "compound",
    ratio: Ratio = 4.0,
    rule: RuleName = "compound",
    seeds: Seeds = 5,
    recipe: RecipeName = "small",
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of every run, instead of the recipe's.")] = None,
    batch: BatchSize = None,
    rate: Rate = None,
    holdout: Annotated[float, typer.Option(help="Share of the training images that is held out.")] = 0.05,
    workers: SearchWorkers = None,
    threads: Threads = None,
    *,
    options: SearchOptions,
    estimate: Estimate = False,
    device: Devices = ANYWHERE,
    json: Json = False,
) -> None:
    """Train the scaled networks of a plan with several seeds, and compare them (Tables 3 and 7, Figs. 3 to 8).

    The same command goes on where it was stopped, --seeds may grow, and other machines join by --storage.
    """
    from compound.studies.told import study_text
    from compound.trials import masked

    in_order("study", baseline, data)
    given = TrainingOptions(recipe=recipe, epochs=epochs, batch=batch, rate=rate).find_recipe()
    where, tables = which_devices(device)
    table = one_table(tables)
    asked = verb.ScalingQuestion(plan, ratio, rule, seeds, table)
    spec, sharing = options.spec(data, holdout, 0), options.sharing(workers, where, not json, threads)
    if estimate:
        return answer(
            json, *study_estimate(verb.prepare(baseline, spec, given, options.out, asked, sharing, note))
        )  # fmt: skip
    command = shlex.join(["compound", *map(masked, sys.argv[1:])])
    found = verb.study(
        baseline, spec, given, options.out, asked=asked, sharing=sharing, command=command, say=note
    )  # fmt: skip
    return answer(json, found.to_json(), study_text(found.study, found.out))
