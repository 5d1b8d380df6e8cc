"""Studies made by hand: real networks and costs, invented accuracies."""

import random
from pathlib import Path

from compound import ZOO, cost, scale
from compound.notation import save_network
from compound.scaling import RULES, Scaling
from compound.studies import SeedRun, Study, Variant, write_study

BASELINE = ZOO["efficientnet-mini"]
GAIN = {"baseline": 0.0, "depth": 0.010, "width": 0.012, "resolution": 0.008, "compound": 0.022}
IMAGES = 10_000


def write_synthetic(folder: Path, plan: str, seeds: int = 5, noise: float = 0.002) -> Study:
    """A study of `plan` in `folder`, networks included."""
    rows = PLANS[plan]
    rng = random.Random(plan)
    (folder / "networks").mkdir(parents=True, exist_ok=True)
    variants = []
    for dimension, group, factors, gain in rows:
        network = BASELINE if factors == Scaling() else scale(BASELINE, factors)
        name = " ".join(filter(None, (dimension, group, f"{factors.theory:.3g}" if factors != Scaling() else "")))
        file = f"networks/{name.replace(' ', '-').replace(',', '')}.yaml"
        save_network(network, folder / file)
        counted = cost(network.with_(classes=10, channels=1))
        runs = tuple(_run(seed, 0.9 + gain + rng.gauss(0, noise)) for seed in range(seeds))
        where = (factors.depth, factors.width, factors.resolution, network.resolution, counted.params, counted.macs)
        variants.append(Variant(name, dimension, group, file, *where, None, runs))
    study = Study(
        plan, BASELINE.name, "fashion6k", 4.0, {"name": "small", "epochs": 6, "batch": 64},
        {"processor": "a processor", "cores": 2, "accelerator": None, "versions": {"torch": "2.15"}},
        f"compound study {BASELINE.name} fashion6k --plan {plan} --seeds {seeds} -o {folder.name}", tuple(variants),
        10, 1,
    )  # fmt: skip
    write_study(study, folder)
    return study


def _run(seed: int, top1: float) -> SeedRun:
    correct = round(top1 * IMAGES)
    return SeedRun(seed, correct / IMAGES, correct, IMAGES, 0.3, 12.0)


def _single() -> list[tuple[str, str, Scaling, float]]:
    rows = [("baseline", "", Scaling(), 0.0)]
    for way in ("depth", "width", "resolution"):
        rows += [(way, "", RULES[way](phi), GAIN[way] * (1 - 0.5**phi) * 4 / 3) for phi in (0.5, 1, 1.5, 2)]
    return rows


def _width_on() -> list[tuple[str, str, Scaling, float]]:
    settings = [(1.0, 1.0), (1.0, 1.3), (2.0, 1.0), (2.0, 1.3)]
    return [
        ("width", f"d {d:g}, r {r:g}", Scaling(d, w, r), 0.006 * d * r * (w - 1) + 0.004 * (d * r - 1))
        for d, r in settings
        for w in (1.0, 1.4, 1.8, 2.2)
    ]


PLANS = {
    "compound": [(way, "", RULES[way](2) if way in RULES else Scaling(), gain) for way, gain in GAIN.items()],
    "single": _single(),
    "width-on": _width_on(),
    "family": [("baseline", "", Scaling(), 0.0)]
    + [("compound", "", RULES["compound"](phi), 0.01 * phi - 0.002 * phi**2) for phi in (-1, 0.5, 1, 1.5, 2)],
}
