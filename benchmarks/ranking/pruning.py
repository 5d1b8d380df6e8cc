"""Epochs that a search saves by stopping trainings early, and what it loses, on the curves that were kept.

    python -m benchmarks.ranking.pruning

The wide networks come in 50 random orders. A way may stop each after any epoch; at the end the one with the highest
held-out accuracy among those trained to their end is chosen, and judged by the accuracy on the judging images. `median`
and `halving` are Optuna's pruners as the searches use them; `curves` is `CurvePruner`. `freeze and thaw` keeps all
trainings where they stand and gives one more epoch to the one that most probably ends above the best (Swersky et al.
2014), a third of a training at first; one that has not begun counts as those that have. Nothing is trained. Writes
benchmarks/results/pruning.json.
"""

import random
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.pruners import BasePruner, MedianPruner, NopPruner, SuccessiveHalvingPruner

from benchmarks.environment import write_result
from benchmarks.ranking.worth import first, known_table, recipe_of, truth
from compound.evaluation.curves import foresee
from compound.training.foretold import epoch_rates
from compound.trials.foreseeing import CurvePruner

ORDERS = 50
HOPELESS = 0.05
Curve = tuple[float, ...]


def pruned(pruner: BasePruner, curves: Sequence[Curve]) -> tuple[int, int]:
    """Epochs spent, and which one was chosen."""
    study = optuna.create_study(direction="maximize", pruner=pruner)
    spent, ended = 0, {}
    for place, curve in enumerate(curves):
        trial = study.ask()
        for epoch, accuracy in enumerate(curve, 1):
            spent += 1
            trial.report(accuracy, epoch)
            if epoch < len(curve) and trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                break
        else:
            ended[place] = curve[-1]
            study.tell(trial, curve[-1])
    return spent, max(ended, key=lambda place: ended[place])


def thawed(curves: Sequence[Curve], rates: Sequence[float], images: int) -> tuple[int, int]:
    """Freeze and thaw: epochs spent, and which one was chosen."""
    total = len(rates)
    third = -(-total // 3)
    seen = [0] * len(curves)
    hopes: dict[int, Any] = {}
    spent, best = 0, 0.0
    while True:
        open_ = [place for place, epochs in enumerate(seen) if epochs < total]
        begun = {place: 1 - hopes[place].below(best) if best else hopes[place].quantile(0.9) for place in hopes}
        fresh = next((place for place in open_ if not seen[place]), None)
        scores = {place: score for place, score in begun.items() if seen[place] < total}
        if fresh is not None:  # of one that has not begun is known what those at their first epoch promise
            scores[fresh] = statistics.mean(scores.values()) if scores else 1.0
        if not scores:
            break
        place = max(scores, key=lambda each: scores[each])
        if best and scores[place] < HOPELESS:
            break
        epochs = max(1, third - seen[place])  # before a third nothing is foreseen
        seen[place] += epochs
        spent += epochs
        if seen[place] == total:
            best = max(best, curves[place][-1])
            hopes.pop(place)
        else:
            hopes[place] = foresee(curves[place][: seen[place]], rates, images)
    ended = [place for place, epochs in enumerate(seen) if epochs == total]
    return spent, max(ended, key=lambda place: curves[place][-1])


def main() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    settings, rows = known_table()
    rows = [row for row in rows if row["sample"] == "wide"]
    rates = epoch_rates(recipe_of(settings), settings["steps_an_epoch"], settings["epochs"])
    images = settings["watched_images"]
    ways: dict[str, Callable[[list[Curve]], tuple[int, int]]] = {
        "whole": lambda curves: pruned(NopPruner(), curves),
        "median": lambda curves: pruned(MedianPruner(n_startup_trials=4, n_warmup_steps=1), curves),
        "halving": lambda curves: pruned(SuccessiveHalvingPruner(reduction_factor=2), curves),
        "curves": lambda curves: pruned(CurvePruner(rates, images, HOPELESS), curves),
        "freeze and thaw": lambda curves: thawed(curves, rates, images),
    }
    found: dict[str, Any] = {}
    for name, way in ways.items():
        epochs, behind, same = [], [], []
        for order in range(ORDERS if name != "freeze and thaw" else ORDERS // 5):
            mixed = rows.copy()
            random.Random(order).shuffle(mixed)
            curves = [tuple(accuracy for accuracy, _ in first(row)["curve"]) for row in mixed]
            spent, chosen = way(curves)
            highest = max(range(len(mixed)), key=lambda place: curves[place][-1])
            epochs.append(spent / (len(rates) * len(rows)))
            behind.append(max(truth(row) for row in mixed) - truth(mixed[chosen]))
            same.append(curves[chosen][-1] >= curves[highest][-1])
        found[name] = {
            "orders": len(epochs),
            "share_of_epochs": round(statistics.mean(epochs), 4),
            "share_of_epochs_interval": [round(float(v), 4) for v in np.quantile(epochs, (0.025, 0.975))],
            "same_choice_as_whole": round(statistics.mean(same), 4),
            "regret": round(statistics.mean(behind), 5),
            "regret_interval": [round(float(v), 5) for v in np.quantile(behind, (0.025, 0.975))],
        }
        print(name, found[name], flush=True)
    print(
        write_result("pruning", {"settings": settings | {"hopeless": HOPELESS, "networks": len(rows)}, "ways": found})
    )


if __name__ == "__main__":
    main()
