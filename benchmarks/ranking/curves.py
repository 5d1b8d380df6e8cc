"""How often the ends of trainings lie where their first epochs foresaw, on networks that the priors have not seen.

    python -m benchmarks.ranking.curves

By the curves of benchmarks/results/ranking-truth.json: priors are fitted to nine tenths of the networks by the density
that they give to the ends, and judged by the last tenth, ten times. Those fitted to all are what
`compound.evaluation.curves` has. Nothing is trained. Writes benchmarks/results/curves.json.
"""

import random
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from benchmarks.environment import write_result
from benchmarks.ranking.worth import known_table, recipe_of
from compound.evaluation.curves import FITTED, Foreseen, Priors, foresee, kept
from compound.training.foretold import epoch_rates

SHARES = {"1/4": 4, "1/3": 6, "1/2": 8, "3/4": 12}  # epochs of 16
SPOKEN = ("1/3", "1/2", "3/4")  # those by which priors are chosen: before a third nothing is said
COVERED = (0.8, 0.9)
FOLDS, TRIED = 10, 100
WIDER = (0.65, 0.8, 0.9, 1.0, 1.1, 1.25, 1.4, 1.6, 2.0)


@dataclass(frozen=True)
class Curve:
    network: str
    accuracies: tuple[float, ...]


def candidates() -> list[Priors]:
    """Priors to choose among, drawn evenly; those that stand are among them.

    Where curves begin and end is left as open as it is, as these are other places for other images and weights.
    """
    rng = random.Random(0)
    found = [replace(FITTED, wider=1.0)]
    for _ in range(TRIED):
        mean = (FITTED.mean[0], rng.uniform(0.5, 3.0), rng.uniform(0.0, 1.2))
        deviation = (*FITTED.deviation[:2], rng.choice((0.15, 0.3, 0.6)))
        found.append(Priors(mean, deviation, rng.choice((0.01, 0.03, 0.1, 0.3)), rng.choice((3.0, 10.0, 100.0))))
    return found


def foreseen(curve: Curve, epochs: int, rates: Sequence[float], images: int, priors: Priors) -> Foreseen:
    return foresee(curve.accuracies[:epochs], rates, images, priors)


def end(curve: Curve, images: int) -> float:
    return kept(curve.accuracies[-1], images)


def fitted(scores: dict[Priors, dict[Curve, float]], curves: Sequence[Curve]) -> Priors:
    """The priors of the highest mean log density at the ends of `curves`."""
    return max(scores, key=lambda priors: statistics.mean(scores[priors][curve] for curve in curves))


def main() -> None:
    settings, rows = known_table()
    rates = epoch_rates(recipe_of(settings), settings["steps_an_epoch"], settings["epochs"])
    images = settings["watched_images"]
    curves = [
        Curve(row["network"], tuple(accuracy for accuracy, _ in one["curve"]))
        for row in rows
        for one in row["trained"].values()
    ]

    def score(priors: Priors, curve: Curve) -> float:
        each = (foreseen(curve, epochs, rates, images, priors) for epochs in (SHARES[share] for share in SPOKEN))
        return statistics.mean(float(np.log(one.density(end(curve, images)) + 1e-12)) for one in each)

    scores = {priors: {curve: score(priors, curve) for curve in curves} for priors in candidates()}

    def widened(among: Sequence[Curve]) -> Priors:
        best = fitted(scores, among)
        ways = [replace(best, wider=wider) for wider in WIDER]
        return max(ways, key=lambda way: statistics.mean(score(way, curve) for curve in among))

    names = sorted({curve.network for curve in curves})
    random.Random(1).shuffle(names)
    lists = ("off", "width", "persistence_off")
    held: dict[str, Any] = {
        share: {"within": {str(c): [] for c in COVERED}} | {name: [] for name in lists} for share in SHARES
    }
    for fold in range(FOLDS):
        out = set(names[fold::FOLDS])
        priors = widened([curve for curve in curves if curve.network not in out])
        for curve in (curve for curve in curves if curve.network in out):
            for share, epochs in SHARES.items():
                found, ended = foreseen(curve, epochs, rates, images, priors), curve.accuracies[-1]
                spans = {covered: found.interval(covered) for covered in COVERED}
                for covered, (low, high) in spans.items():
                    held[share]["within"][str(covered)].append(low <= ended <= high)
                held[share]["off"].append(abs(found.middle - ended))
                held[share]["width"].append(spans[0.9][1] - spans[0.9][0])
                held[share]["persistence_off"].append(abs(curve.accuracies[epochs - 1] - ended))
    table = {}
    for share, one in held.items():
        count = len(one["off"])
        within = {c: statistics.mean(each) for c, each in one["within"].items()}
        table[share] = {
            "curves": count,
            "within": {c: round(v, 4) for c, v in within.items()},
            "within_interval": {c: [round(x, 4) for x in wilson(v, count)] for c, v in within.items()},
            "mean_error": round(statistics.mean(one["off"]), 5),
            "mean_error_of_the_last_epoch_seen": round(statistics.mean(one["persistence_off"]), 5),
            "mean_width_90": round(statistics.mean(one["width"]), 5),
        }
        print(share, table[share])
    best = widened(curves)
    print("fitted to all:", best)
    print(write_result("curves", {"settings": settings | {"folds": FOLDS}, "foreseen": table, "priors": asdict(best)}))


def wilson(p: float, n: int, z: float = 1.96) -> tuple[float, float]:
    middle, spread = p + z * z / (2 * n), z * ((p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5)
    return (middle - spread) / (1 + z * z / n), (middle + spread) / (1 + z * z / n)


if __name__ == "__main__":
    main()
