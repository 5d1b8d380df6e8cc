"""The pruner of learning curves: it stops what cannot be the best any more, and nothing else."""

import optuna

from compound.trials.foreseeing import CurvePruner
from compound.trials.testing import quiet

EPOCHS = 16
RATES = [1.0] * EPOCHS


def curve(end):
    return [end - 0.4 * 0.6**epoch for epoch in range(EPOCHS)]


def epochs_of(ends, pruner):
    """After how many epochs each trial was over."""
    spent = []
    with quiet():
        study = optuna.create_study(direction="maximize", pruner=pruner)
        for end in ends:
            trial, values = study.ask(), curve(end)
            for epoch, value in enumerate(values, 1):
                trial.report(value, epoch)
                if epoch < EPOCHS and trial.should_prune():
                    study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                    break
            else:
                study.tell(trial, values[-1])
            spent.append(epoch)
    return spent


def test_what_ends_far_below_the_best_is_stopped_and_what_may_be_better_is_not():
    first, second, worse, better, nearly = epochs_of([0.85, 0.86, 0.55, 0.93, 0.92], CurvePruner(RATES, 1000))
    assert (first, second, better) == (EPOCHS, EPOCHS, EPOCHS)
    assert EPOCHS / 3 <= worse < EPOCHS // 2
    assert worse < nearly


def test_nothing_is_stopped_before_there_is_something_to_beat():
    assert epochs_of([0.9, 0.5, 0.5], CurvePruner(RATES, 1000, first=3)) == [EPOCHS] * 3
