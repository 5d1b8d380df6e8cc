"""A pruner that stops candidates whose learning curve says that they will not be the best."""

from collections.abc import Sequence

from optuna.pruners import BasePruner
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from compound.evaluation.curves import foresee


class CurvePruner(BasePruner):
    """Stops a trial that ends above the best finished one with a probability below `hopeless`.

    Trials report a held-out accuracy by `images` images after every epoch; `rates` are the learning rates of all epochs
    of a training. Nothing is stopped before `first` trials were finished, nor before a third of the epochs.
    """

    def __init__(self, rates: Sequence[float], images: int, hopeless: float = 0.05, first: int = 2) -> None:
        self.rates, self.images, self.hopeless, self.first = tuple(rates), images, hopeless, first

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        seen = [value for _, value in sorted(trial.intermediate_values.items())]
        if not len(self.rates) <= 3 * len(seen) < 3 * len(self.rates):
            return False
        finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        ends = [one.intermediate_values[max(one.intermediate_values)] for one in finished if one.intermediate_values]
        if len(ends) < self.first:
            return False
        return 1 - foresee(seen, self.rates, self.images).below(max(ends)) < self.hopeless
