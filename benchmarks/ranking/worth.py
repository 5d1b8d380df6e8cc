"""What each evaluation's ranking is worth, by the table of `benchmarks.ranking.truth`; nothing is trained.

    python -m benchmarks.ranking.worth

For every evaluation, in the whole range of cost and in the narrow window: Kendall's τ with the accuracy after the whole
training (95 % by the bootstrap over networks), the regret of training the best 1, 3 and 5 by it in full (how far their
best lies below the best there is, in points), and its process seconds a network as a share of a whole training's.
Accuracies after a part of a training are of the training that the truth is of, whose rate had not fallen yet;
`schedule of …` are short trainings of their own, with another seed. Writes benchmarks/results/ranking.json.
"""

import json
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.environment import RESULTS, write_result
from compound.evaluation.curves import foresee
from compound.search.space_file import find_space
from compound.search.surrogate import ConfigurationFeatures, Ridge
from compound.search.validation import agreement
from compound.training import RECIPES
from compound.training.foretold import epoch_rates
from compound.training.recipe import Recipe

PICKED = (1, 3, 5)
RESAMPLES = 1000
Row = Mapping[str, Any]
Rows = Sequence[Row]


@dataclass(frozen=True)
class Judged:
    """An evaluation of networks: a score of each, higher is better, and its seconds a network."""

    name: str
    scores: tuple[float, ...]
    seconds: float


def truth(row: Row) -> float:
    return statistics.mean(one["top1"] for one in row["trained"].values())


def first(row: Row) -> Row:
    """The training that is looked at before its end."""
    found: Row = row["trained"][min(row["trained"])]
    return found


def recipe_of(settings: Row) -> Recipe:
    return replace(RECIPES[settings["recipe"]], epochs=settings["epochs"])


def features(rows: Rows) -> np.ndarray[Any, Any]:
    of = ConfigurationFeatures(find_space("small").with_(classes=10, channels=1))
    return np.stack([of(dict(row["parameters"])) for row in rows])


def standard(scores: Sequence[float]) -> np.ndarray[Any, Any]:
    found = np.asarray(scores, dtype=float)
    return (found - found.mean()) / (found.std() or 1.0)


def after(rows: Rows, epochs: int, part: int = 0) -> tuple[float, ...]:
    """Held-out accuracy after so many epochs, or with part 1 the loss with its sign turned."""
    return tuple((-1) ** part * first(row)["curve"][epochs - 1][part] for row in rows)


def counted(rows: Rows) -> list[Judged]:
    named = ("params", "macs", "activations")
    return [Judged(name, tuple(math.log(row[name]) for row in rows), 0.0) for name in named]


def proxies(rows: Rows) -> list[Judged]:
    found = []
    for name in rows[0]["proxies"]:
        each = [row["proxies"][name] for row in rows]
        once = each[0].get("trained", 0.0) / len(rows)
        seconds = statistics.mean(one["seconds"] for one in each) + once
        found.append(Judged(name, tuple(one["score"] for one in each), seconds))
    return found


def parts(rows: Rows, settings: Row) -> list[Judged]:
    """Looks at a training before its end, alone and with what is known without any training."""
    whole, total = statistics.mean(first(row)["seconds"] for row in rows), settings["epochs"]
    rates = epoch_rates(recipe_of(settings), settings["steps_an_epoch"], total)
    params, x = standard([math.log(row["params"]) for row in rows]), features(rows)
    found = []
    for epochs in (total // 16, total // 8, total // 4, total // 2):
        share, seconds = f"1/{total // epochs}", whole * epochs / total
        accuracy, loss = after(rows, epochs), after(rows, epochs, part=1)
        curves = [[one for one, _ in first(row)["curve"][:epochs]] for row in rows]
        extrapolated = [foresee(curve, rates, settings["watched_images"]).middle for curve in curves]
        smoothed = Ridge.fit(x, standard(loss)).predict(x)
        even = Ridge.fit(x, standard(accuracy)).predict(x)
        found += [
            Judged(f"accuracy after {share}", accuracy, seconds),
            Judged(f"accuracy after {share}, with params", tuple(standard(accuracy) + params), seconds),
            Judged(f"accuracy after {share}, by a surrogate", tuple(even), seconds),
            Judged(f"loss after {share}", loss, seconds),
            Judged(f"curve after {share}", tuple(extrapolated), seconds),
            Judged(f"loss after {share}, with params", tuple(standard(loss) + params), seconds),
            Judged(f"loss after {share}, by a surrogate", tuple(smoothed), seconds),
            Judged(f"loss after {share}, by a surrogate, with params", tuple(standard(smoothed) + params), seconds),
        ]
    return found


def short(rows: Rows, settings: Row) -> list[Judged]:
    """Trainings that were short by themselves, where all networks have one."""
    found, total = [], settings["epochs"]
    params, x = standard([math.log(row["params"]) for row in rows]), features(rows)
    for epochs in settings["short"]["epochs"]:
        each = [row["short"].get(str(epochs)) for row in rows]
        if not all(each):
            continue
        seconds = statistics.mean(one["seconds"] for one in each)
        accuracy, loss = (tuple(sign * one["curve"][-1][part] for one in each) for part, sign in ((0, 1), (1, -1)))
        smoothed, even = (Ridge.fit(x, standard(one)).predict(x) for one in (loss, accuracy))
        name = f"schedule of 1/{total // epochs}"
        found += [
            Judged(f"{name}: accuracy", accuracy, seconds),
            Judged(f"{name}: accuracy, with params", tuple(standard(accuracy) + params), seconds),
            Judged(f"{name}: accuracy, by a surrogate", tuple(even), seconds),
            Judged(f"{name}: loss", loss, seconds),
            Judged(f"{name}: loss, with params", tuple(standard(loss) + params), seconds),
            Judged(f"{name}: loss, by a surrogate", tuple(smoothed), seconds),
        ]
    return found


def learnt(rows: Rows) -> list[Judged]:
    """A surrogate of the truth of all others: what it says of a network that nobody trained."""
    values = np.array([truth(row) for row in rows])
    return [Judged("surrogate of the others' truth", tuple(Ridge.fit(features(rows), values).left_out), 0.0)]


def regret(scores: np.ndarray[Any, Any], true: np.ndarray[Any, Any], k: int) -> float:
    return float(true.max() - true[np.argsort(-scores, kind="stable")[:k]].max())


def interval(of: Callable[[np.ndarray[Any, Any]], float], count: int) -> list[float]:
    rng = np.random.default_rng(0)
    values = [of(rng.integers(0, count, count)) for _ in range(RESAMPLES)]
    return [round(float(v), 5) for v in np.quantile(values, (0.025, 0.975))]


def told(judged: Judged, true: np.ndarray[Any, Any], whole: float) -> dict[str, Any]:
    """The line of an evaluation."""
    scores = np.array(judged.scores)
    tau = asdict(agreement(judged.scores, true.tolist()))
    found: dict[str, Any] = {name: round(value, 4) for name, value in tau.items()}
    found |= {"seconds": round(judged.seconds, 3), "share_of_truth": round(judged.seconds / whole, 4)}
    for k in PICKED:
        found[f"regret_{k}"] = round(regret(scores, true, k), 5)
        found[f"regret_{k}_interval"] = interval(lambda drawn, k=k: regret(scores[drawn], true[drawn], k), len(true))
    return found


def table(rows: Rows, settings: Row) -> dict[str, Any]:
    """Of one sample of networks."""
    true = np.array([truth(row) for row in rows])
    whole = statistics.mean(one["seconds"] for row in rows for one in row["trained"].values())
    judged = [*counted(rows), *proxies(rows), *parts(rows, settings), *short(rows, settings), *learnt(rows)]
    found: dict[str, Any] = {
        "networks": len(rows),
        "truth": {"lowest": true.min(), "highest": true.max(), "deviation": true.std(ddof=1), "seconds": whole},
        "evaluations": {one.name: told(one, true, whole) for one in judged},
    }
    twice = [row for row in rows if len(row["trained"]) > 1]
    if len(twice) > 3:
        one, other = ([row["trained"][seed]["top1"] for row in twice] for seed in ("0", "1"))
        squares = [(a - b) ** 2 / 2 for a, b in zip(one, other, strict=True)]
        deviation = math.sqrt(statistics.mean(squares))
        found["two_seeds"] = asdict(agreement(one, other)) | {"deviation_between_seeds": deviation}
    return found


def known_table(path: Path = RESULTS / "ranking-truth.json") -> tuple[Row, list[Row]]:
    """Settings and the rows that were trained."""
    known = json.loads(path.read_text(encoding="utf-8"))
    return known["settings"], [row for row in known["rows"] if row["trained"]]


def main() -> None:
    settings, rows = known_table()
    samples = {name: [row for row in rows if row["sample"] == name] for name in ("wide", "narrow")}
    found = {name: table(some, settings) for name, some in samples.items() if len(some) > 3}
    for name, one in found.items():
        print(f"\n{name}: {one['networks']} networks, {one['truth']}, {one.get('two_seeds')}")
        for label, line in sorted(one["evaluations"].items(), key=lambda item: -item[1]["tau"]):
            print(
                f"{label:<48} τ {line['tau']:5.2f} ({line['low']:5.2f} to {line['high']:4.2f})  "
                f"{line['share_of_truth']:6.1%}  regret " + " ".join(f"{line[f'regret_{k}']:.2%}" for k in PICKED)
            )
    print(write_result("ranking", {"settings": settings, "samples": found}))


if __name__ == "__main__":
    main()
