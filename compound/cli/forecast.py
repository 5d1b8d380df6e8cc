"""`compound forecast`: what larger networks of a family will reach, from studies of smaller ones."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compound.cli.common import Json, RuleName, answer
from compound.cost import cost
from compound.errors import UsageError
from compound.notation import load_network
from compound.quantity import quantity, short
from compound.scaling import Rule, scale
from compound.verbs.given import find_rule

if TYPE_CHECKING:
    from compound.studies import Study
    from compound.studies.forecast import Forecast, Law, Observation

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
    from compound.studies import read_study
    from compound.studies.forecast import fit, held_out, points_of
    from compound.studies.forecast import forecast as predict

    read = [read_study(path) for path in studies]
    points = points_of(read, dimension)
    law = fit(points)
    wanted = {f"φ {one:g}": scaled_macs(read[0], studies[0], find_rule(rule), one) for one in phi or ()}
    wanted |= {text: quantity(text, "--macs") for text in macs or ()}
    if not wanted:
        raise UsageError("nothing to forecast; give --phi, e.g. 3, or --macs, e.g. 400M")
    found = dict(zip(wanted, predict(points, list(wanted.values()), seed), strict=True))
    check = held_out(points, seed)
    value = {
        "law": {"a": law.a, "b": law.b, "c": law.c, "unit": law.unit},
        "points": [asdict(point) for point in points],
        "forecasts": [{"of": name} | asdict(one) for name, one in found.items()],
        "held_out": {"network": check[0].name, "top1": 1 - check[0].error, **_renamed(check[1])} if check else None,
    }
    answer(json, value, text(law, points, found, check))


def scaled_macs(study: "Study", path: Path, rule: Rule, phi: float) -> float:
    """The counted multiply-adds of the study's baseline at φ."""
    folder = path if path.is_dir() else path.parent
    baseline = next((v for v in study.variants if v.dimension == "baseline"), None)
    if baseline is None:
        raise UsageError(f"study {path} has no baseline to scale to φ {phi:g}; give --macs instead")
    network = load_network(folder / baseline.network).with_(classes=study.classes, channels=study.channels)
    return cost(scale(network, rule(phi))).macs


def text(
    law: "Law", points: "list[Observation]", found: "dict[str, Forecast]", check: "tuple[Observation, Forecast] | None"
) -> str:
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


def _renamed(guess: "Forecast") -> dict[str, float]:
    return {"forecast": guess.top1, "low": guess.low, "high": guess.high}
