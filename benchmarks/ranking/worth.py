"""What each evaluation's ranking is worth, by the table of `benchmarks.ranking.truth`; nothing is trained.

    python -m benchmarks.ranking.worth

By the 20 networks that `benchmarks.search` trained for 1,686 steps (with what `benchmarks.ranking.twenty` found of
them), and by those of `benchmarks.ranking.truth` in the whole range of cost and in a narrow window. For every
evaluation: Kendall's τ with the accuracy after the whole training (95 % by the bootstrap over networks), the regret
of training the best 1, 3 and 5 by it in full (how far their best lies below the best there is, in points), and its
process seconds a network as a share of a whole training's. Accuracies after a part of a training are of the training
that the truth is of, whose rate had not fallen yet; `schedule of …` are short trainings of their own, with another
seed. What is named `with params` is the sum of two standardised scores, the other the logarithm of the parameters;
`by a surrogate` is a ridge regression of the scores on all networks' options and costs, which takes noise out. Writes
benchmarks/results/ranking.json.
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
FEWEST = 10  # networks of a sample
Row = Mapping[str, Any]
Array = np.ndarray[Any, Any]
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


def features(rows: Rows) -> Array:
    of = ConfigurationFeatures(find_space("small").with_(classes=10, channels=1))
    return np.stack([of(dict(row["parameters"])) for row in rows])


def standard(scores: Sequence[float]) -> Array:
    found = np.asarray(scores, dtype=float)
    return (found - found.mean()) / (found.std() or 1.0)


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
        curves = [first(row)["curve"][:epochs] for row in rows]
        found += looked(f"after {share}", [curve[-1] for curve in curves], params, x, seconds)
        accuracies = [[accuracy for accuracy, _ in curve] for curve in curves]
        extrapolated = [foresee(one, rates, settings["watched_images"]).middle for one in accuracies]
        found.append(Judged(f"after {share}: curve", tuple(extrapolated), seconds))
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
        seen = [one["curve"][-1] for one in each]
        found += looked(f"schedule of 1/{total // epochs}", seen, params, x, seconds)
    return found


def twenty(settings: Row, networks: Mapping[str, Row]) -> tuple[list[Judged], Array, float]:
    """Evaluations of the networks of `benchmarks.search`, their truth, and a whole training's seconds, by steps."""
    rows = list(networks.values())
    params, x = standard([math.log(row["params"]) for row in rows]), features(rows)
    found = [Judged(name, tuple(math.log(row[name]) for row in rows), 0.0) for name in ("params", "macs")]
    shares = [share for share in settings["shares"] if all(str(share) in row["short"] for row in rows)]
    whole = statistics.mean(row["short"][str(shares[0])]["seconds"] for row in rows) * shares[0]
    for name in rows[0]["proxies"]:
        each = [row["proxies"][name] for row in rows]
        scores, free = tuple(one["score"] for one in each), "seconds" not in each[0]
        name = f"{name}, trained once for 10 minutes" if free else name
        found.append(Judged(name, scores, 0.0 if free else statistics.mean(one["seconds"] for one in each)))
        found.append(Judged(f"{name}, with params", tuple(standard(scores) + params), found[-1].seconds))
    for share in shares:
        each = [row["short"][str(share)] for row in rows]
        found += looked("schedule of 1/" + str(share), [(one["top1"], one["loss"]) for one in each], params, x,
                        statistics.mean(one["seconds"] for one in each))  # fmt: skip
    true = np.array([statistics.mean(row["true"]) for row in rows])
    left_out = tuple(Ridge.fit(x, true).left_out)
    return [*found, Judged("surrogate of the others' truth", left_out, 0.0)], true, whole


def looked(
    name: str,
    seen: Sequence[tuple[float, float]],
    params: Array,
    x: Array,
    seconds: float,
) -> list[Judged]:
    """What accuracy and loss after some training say, alone and with what is known without any."""
    found = []
    for what, scores in (("accuracy", [one for one, _ in seen]), ("loss", [-one for _, one in seen])):
        even = Ridge.fit(x, standard(scores)).predict(x)
        found += [
            Judged(f"{name}: {what}", tuple(scores), seconds),
            Judged(f"{name}: {what}, with params", tuple(standard(scores) + params), seconds),
            Judged(f"{name}: {what}, by a surrogate", tuple(even), seconds),
        ]
    return found


def learnt(rows: Rows) -> list[Judged]:
    """A surrogate of the truth of all others: what it says of a network that nobody trained."""
    values = np.array([truth(row) for row in rows])
    return [Judged("surrogate of the others' truth", tuple(Ridge.fit(features(rows), values).left_out), 0.0)]


def regret(scores: Array, true: Array, k: int) -> float:
    return float(true.max() - true[np.argsort(-scores, kind="stable")[:k]].max())


def interval(of: Callable[[Array], float], count: int) -> list[float]:
    rng = np.random.default_rng(0)
    values = [of(rng.integers(0, count, count)) for _ in range(RESAMPLES)]
    return [round(float(v), 5) for v in np.quantile(values, (0.025, 0.975))]


def told(judged: Judged, true: Array, whole: float) -> dict[str, Any]:
    """The line of an evaluation."""
    scores = np.array(judged.scores)
    tau = asdict(agreement(judged.scores, true.tolist()))
    found: dict[str, Any] = {name: round(value, 4) for name, value in tau.items()}
    found |= {"seconds": round(judged.seconds, 3), "share_of_truth": round(judged.seconds / whole, 4)}
    for k in PICKED:
        found[f"regret_{k}"] = round(regret(scores, true, k), 5)
        found[f"regret_{k}_interval"] = interval(lambda drawn, k=k: regret(scores[drawn], true[drawn], k), len(true))
    return found


def lines(judged: Sequence[Judged], true: Array, whole: float) -> dict[str, Any]:
    spread = {"lowest": float(true.min()), "highest": float(true.max()), "deviation": float(true.std(ddof=1))}
    evaluations = {one.name: told(one, true, whole) for one in judged}
    return {"networks": len(true), "truth": spread | {"seconds": round(whole, 2)}, "evaluations": evaluations}


def table(rows: Rows, settings: Row) -> dict[str, Any]:
    """Of one sample of networks."""
    true = np.array([truth(row) for row in rows])
    whole = statistics.mean(one["seconds"] for row in rows for one in row["trained"].values())
    judged = [*counted(rows), *proxies(rows), *parts(rows, settings), *short(rows, settings), *learnt(rows)]
    return lines(judged, true, whole) | between_seeds(rows)


def between_seeds(rows: Rows) -> dict[str, Any]:
    """How far two trainings of a network lie apart, and how their rankings agree."""
    twice = [row for row in rows if len(row["trained"]) > 1]
    if len(twice) < 4:
        return {}
    one, other = ([row["trained"][seed]["top1"] for row in twice] for seed in ("0", "1"))
    deviation = math.sqrt(statistics.mean((a - b) ** 2 / 2 for a, b in zip(one, other, strict=True)))
    return {"two_seeds": asdict(agreement(one, other)) | {"deviation_between_seeds": deviation}}


def known_table(path: Path = RESULTS / "ranking-truth.json") -> tuple[Row, list[Row]]:
    """Settings and the rows that were trained."""
    known = json.loads(path.read_text(encoding="utf-8"))
    return known["settings"], [row for row in known["rows"] if row["trained"]]


def main() -> None:
    settings, rows = known_table()
    samples = {name: [row for row in rows if row["sample"] == name] for name in ("wide", "narrow")}
    found = {name: table(some, settings) for name, some in samples.items() if len(some) >= FEWEST}
    known = json.loads((RESULTS / "ranking-twenty.json").read_text(encoding="utf-8"))
    found = {"twenty": lines(*twenty(known["settings"], known["networks"]))} | found
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
