"""`compound.forecast`: what larger networks of a family will reach, from studies of smaller ones."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compound.cost import cost
from compound.errors import UsageError
from compound.notation import load_network
from compound.scaling import Rule, scale
from compound.verbs.given import Place, find_rule, paths

if TYPE_CHECKING:
    from compound.studies import Study
    from compound.studies.forecast import Forecast, Law, Observation


@dataclass(frozen=True)
class Forecasts:
    """The law, the networks it goes through, and what it says of each cost by name.

    `held_out`: the largest network, and what would have been forecast of it without its own result.
    """

    law: "Law"
    points: "list[Observation]"
    found: "dict[str, Forecast]"
    held_out: "tuple[Observation, Forecast] | None"

    def to_json(self) -> dict[str, Any]:
        checked = None
        if self.held_out:
            largest, guess = self.held_out
            checked = {"network": largest.name, "top1": 1 - largest.error, "forecast": guess.top1}
            checked |= {"low": guess.low, "high": guess.high}
        return {
            "law": {"a": self.law.a, "b": self.law.b, "c": self.law.c, "unit": self.law.unit},
            "points": [asdict(point) for point in self.points],
            "forecasts": [{"of": name} | asdict(one) for name, one in self.found.items()],
            "held_out": checked,
        }


def forecast(
    studies: Place | Sequence[Place],
    phi: Sequence[float] = (),
    macs: Sequence[float] = (),
    *,
    rule: Rule | str = "compound",
    dimension: str = "compound",
    seed: int = 0,
) -> Forecasts:
    """Fit error = a + b · MACs^−c to what studies found, and read off what larger networks will reach.

    Args:
        studies: folders of `compound.study`, or their study.json, of one baseline, data and recipe.
        phi: φ of the networks to forecast, scaled from the first study's baseline by `rule`. macs: or their cost.
        dimension: the variants that the curve goes through.
        seed: of the bootstrap.

    Accuracies are shares. Raises `UsageError` where nothing is asked for, and for studies that do not fit together.
    """
    from compound.studies import read_study
    from compound.studies.forecast import fit, held_out, points_of
    from compound.studies.forecast import forecast as predict

    places = paths(studies)
    read = [read_study(path) for path in places]
    points = points_of(read, dimension)
    law = fit(points)
    wanted = {f"φ {one:g}": scaled_macs(read[0], places[0], find_rule(rule), one) for one in phi}
    wanted |= {cost_name(one): one for one in macs}
    if not wanted:
        raise UsageError("nothing to forecast; give --phi, e.g. 3, or --macs, e.g. 400M")
    found = dict(zip(wanted, predict(points, list(wanted.values()), seed), strict=True))
    return Forecasts(law, points, found, held_out(points, seed))


def cost_name(macs: float) -> str:
    return f"{macs:,.0f} MACs"


def scaled_macs(study: "Study", path: Path, rule: Rule, phi: float) -> float:
    """The counted multiply-adds of the study's baseline at φ."""
    folder = path if path.is_dir() else path.parent
    baseline = next((v for v in study.variants if v.dimension == "baseline"), None)
    if baseline is None:
        raise UsageError(f"study {path} has no baseline to scale to φ {phi:g}; give --macs instead")
    network = load_network(folder / baseline.network).with_(classes=study.classes, channels=study.channels)
    return cost(scale(network, rule(phi))).macs
