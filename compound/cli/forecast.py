"""`compound forecast`: what larger networks of a family will reach, from studies of smaller ones."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from compound.cli.answers import Json, answer
from compound.cli.options.networks import RuleName
from compound.quantity import quantity, short
from compound.verbs import forecast as verb

Studies = Annotated[list[Path], typer.Argument(metavar="STUDY…", help="Folders of `compound study` (or study.json).")]
Phis = Annotated[list[float] | None, typer.Option("--phi", help="φ to forecast; may be given several times.")]
MacsOf = Annotated[list[str] | None, typer.Option("--macs", help="Or a cost, e.g. 400M; may be given several times.")]


def forecast(
    studies: Studies,
    phi: Phis = None,
    macs: MacsOf = None,
    rule: RuleName = "compound",
    dimension: Annotated[str, typer.Option(help="The variants that the curve goes through.")] = "compound",
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    json: Json = False,
) -> None:
    """Fit error = a + b · MACs^−c to what studies found, and read off what larger networks will reach."""
    costs = {text: quantity(text, "--macs") for text in macs or ()}
    found = verb.forecast(studies, phi or (), tuple(costs.values()), rule=rule, dimension=dimension, seed=seed)
    names = {verb.cost_name(value): text for text, value in costs.items()}  # a cost as it was written
    found = replace(found, found={names.get(name, name): one for name, one in found.found.items()})
    answer(json, found.to_json(), forecast_text(found))


def forecast_text(forecasts: verb.Forecasts) -> str:
    """The law, a line a forecast, and the check."""
    law, points, found, check = forecasts.law, forecasts.points, forecasts.found, forecasts.held_out
    lines = [
        f"error = {law.a:.2%} + {law.b:.2%} · (MACs / {short(law.unit)})^−{law.c:.3g}, through {len(points)} networks "
        f"of {short(points[0].macs)} to {short(points[-1].macs)} MACs"
    ]
    lines += [
        f"{name}: {short(one.macs)} MACs, top-1 {one.top1:.2%} (90 % {one.low:.2%} to {one.high:.2%})"
        + (f", {one.macs / points[-1].macs:.1f} times beyond the largest one" if one.macs > points[-1].macs else "")
        for name, one in found.items()
    ]
    if check:
        largest, guess = check
        lines.append(
            f"had {largest.name} been left out: top-1 {guess.top1:.2%} (90 % {guess.low:.2%} to {guess.high:.2%}) "
            f"forecast, {1 - largest.error:.2%} found"
        )
    return "\n".join(lines)
