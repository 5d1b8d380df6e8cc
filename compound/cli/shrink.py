"""`compound shrink`: a trained network brought within a budget, by the way that keeps most of its accuracy."""

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compound.cli.answers import Json, answer, note
from compound.cli.options.execution import Workers
from compound.cli.options.training import ANYWHERE, Devices, which_devices
from compound.cli.plan import Activations, Latency, Macs, Memory, Params, budget_of
from compound.quantity import short
from compound.verbs import shrink as verb

if TYPE_CHECKING:
    from compound.verbs.contest import Contender, Shrunk

WIDTH = 12  # of the names of ways


def shrink(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run of a trained network.")],
    macs: Macs = None,
    params: Params = None,
    activations: Activations = None,
    memory: Memory = None,
    latency: Latency = None,
    minutes: Annotated[float, typer.Option(min=0.01, help="Of training, for each way.")] = verb.MINUTES,
    ways: Annotated[str, typer.Option(help="Rules, as for plan; prune, layers; int8, bf16.")] = ",".join(verb.WAYS),
    out: Annotated[Path | None, typer.Option("-o", "--out", help="A folder of runs; default RUN-shrunk.")] = None,
    seed: Annotated[int, typer.Option(help="Of order and augmentation.")] = 0,
    workers: Workers = None,
    device: Devices = ANYWHERE,
    json: Json = False,
) -> None:
    """Bring a trained network within a budget by several ways, each for the same minutes, and keep the best."""
    from compound.execution import Execution
    from compound.training import Setup, open_run

    where, tables = which_devices(device)
    limits = {"macs": macs, "params": params, "activations": activations, "memory": memory, "latency": latency}
    budget = budget_of(1, tables, **limits)
    setup = Setup(execution=Execution(where, workers), seed=seed, progress=not json)
    recipe = replace(open_run(run).recipe, minutes=minutes)
    found = verb.shrink(
        run, budget, out, ways=[way.strip() for way in ways.split(",")], recipe=recipe, setup=setup,
        command=sys.argv[1:], say=note,
    )  # fmt: skip
    answer(json, found.to_json(), shrunk_text(found))


def shrunk_text(found: "Shrunk") -> str:
    """A row a way, the best first, and what follows."""
    best, images = found.winner, found.whole.result.images
    lines = [
        f"{'':{WIDTH}} {'px':>5} {'params':>8} {'MACs':>8} {'ms':>8}  accuracy of {images:,} held-out images",
        *(row(one) for one in (found.whole, *found.contenders)),
        *(f"{row(one)}, too slow for the budget" for one in found.slower),
        "",
        f"ms: one image in {found.runtime}, one call after another, all taking turns",
    ]
    told = {way: one for way, one in found.against.items() if one.interval()[0] > 0}
    open_ = [way for way in found.against if way not in told]
    if open_:
        lines.append(f"not shown to be worse than {best.way}: {', '.join(open_)} (paired, 95 %)")
    if found.test:
        low, high = found.test.interval()
        lines.append(
            f"{best.way} on {found.test.images:,} test images: {found.test.top(1):.2%} (95 % interval {low:.2%} to "
            f"{high:.2%})"
        )
    place = shlex.quote(str(best.place))
    if best.precision == "fp32":
        lines.append(f"the winner is the run {best.place}; next: compound export {place} --to auto")
    else:
        lines.append(f"the winner is the file {best.place}; next: compound predict {place} PHOTO")
    return "\n".join(lines)


def row(one: "Contender") -> str:
    value = one.to_json()
    low, high = value["top1_interval"]
    took = f"{1e3 * one.seconds:8.2f}" if one.seconds else " " * 8
    return (
        f"{one.way:{WIDTH}} {value['resolution']:5} {short(value['params']):>8} {short(value['macs']):>8} {took}  "
        f"{value['top1']:.2%} ({low:.2%} to {high:.2%})"
    )
