"""What every sampler for our spaces must do, as checks that a test of one's own sampler can call.

    import pytest
    from compound.trials.testing import CHECKS

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_my_sampler(check):
        check(lambda distributions, seed: MySampler(distributions, seed))

Each check raises `AssertionError` with a sentence. `REPEATABLE` are those that Optuna's own samplers pass only when
they are made anew for every draw, as the engine makes them: those keep generators between trials.
"""

import warnings
from collections.abc import Callable, Mapping
from typing import Any, Literal

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import TrialState

Make = Callable[[Mapping[str, BaseDistribution], int], BaseSampler]
Proposals = list[dict[str, Any]]

# Options of every kind that spaces have, and a choice that leaves none.
SPACE: dict[str, BaseDistribution] = {
    "stage1": CategoricalDistribution(["mbconv, expand 6", "fused-mbconv, expand 4", "conv"]),
    "stage1.kernel": CategoricalDistribution([3, 5, 7]),
    "stage1.se": CategoricalDistribution([0, 0.25]),
    "stage1.skip": CategoricalDistribution([True, False]),
    "stage1.layers": CategoricalDistribution([1, 2, 3, 4]),
    "head.channels": CategoricalDistribution([None, 128]),
    "resolution": CategoricalDistribution([28]),
}
TRIALS = 60


def worth(parameters: Mapping[str, Any]) -> float:
    """Something to maximise: three for the best kernel, and one each for most layers, squeeze-excite and skip."""
    best = 3.0 * float(parameters["stage1.kernel"] == 5) + float(parameters["stage1.layers"] == 4)
    return best + float(parameters["stage1.se"] > 0) + float(bool(parameters["stage1.skip"]))


def new_study(
    sampler: BaseSampler | None = None, direction: Literal["maximize", "minimize"] = "maximize"
) -> optuna.Study:
    with quiet():
        return optuna.create_study(direction=direction, sampler=sampler)


def quiet() -> "warnings.catch_warnings[None]":
    """Optuna's remarks on experimental features and on values of categorical kinds do not concern a sampler."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return warnings.catch_warnings(action="ignore")


def search(study: optuna.Study, trials: int, sign: float = 1.0) -> Proposals:
    """Ask and tell; what was proposed."""
    proposed = []
    with quiet():
        for _ in range(trials):
            trial = study.ask(SPACE)
            proposed.append(dict(trial.params))
            study.tell(trial, sign * worth(trial.params))
    return proposed


def copied(study: optuna.Study, sampler: BaseSampler) -> optuna.Study:
    """The same history before another sampler, as after a restart."""
    maximize = study.direction == StudyDirection.MAXIMIZE
    copy = new_study(sampler, "maximize" if maximize else "minimize")
    with quiet():
        for trial in study.get_trials():
            copy.add_trial(trial)
    return copy


def stays_in_the_space(make: Make) -> None:
    for parameters in search(new_study(make(SPACE, 0)), TRIALS):
        assert parameters.keys() == SPACE.keys(), f"{parameters} is not a whole configuration"
        for name, distribution in SPACE.items():
            assert isinstance(distribution, CategoricalDistribution)
            assert parameters[name] in distribution.choices, f"{name} {parameters[name]!r} is not an option"


def repeats_with_the_same_seed(make: Make) -> None:
    first, second = (search(new_study(make(SPACE, 3)), TRIALS) for _ in range(2))
    assert first == second, "the same seed proposed something else"


def differs_with_the_seed(make: Make) -> None:
    first, second = (search(new_study(make(SPACE, seed)), 20) for seed in (0, 1))
    assert first != second, "two seeds proposed the same"


def goes_on_after_a_restart(make: Make) -> None:
    whole = search(new_study(make(SPACE, 5)), TRIALS)
    study = new_study(make(SPACE, 5))
    search(study, TRIALS // 2)
    rest = search(copied(study, make(SPACE, 5)), TRIALS - TRIALS // 2)
    assert rest == whole[TRIALS // 2 :], "a resumed search proposed something else than the uninterrupted one"


def bears_what_went_wrong(make: Make) -> None:
    """Trials that failed, were pruned or still run are in every real history."""
    study = new_study(make(SPACE, 0))
    search(study, 10)
    with quiet():
        for state in (TrialState.FAIL, TrialState.PRUNED):
            study.tell(study.ask(SPACE), state=state)
        study.ask(SPACE)  # goes on running
    assert len(search(study, 30)) == 30


def minimises_too(make: Make) -> None:
    """With the signs turned round, the same search."""
    up = search(new_study(make(SPACE, 2)), TRIALS)
    down = search(new_study(make(SPACE, 2), "minimize"), TRIALS, -1.0)
    assert up == down, "minimising −f is not maximising f"


def tries_everything(make: Make) -> None:
    """No option is out of reach: each is proposed within the first trials of a few seeds."""
    seen: dict[str, set[Any]] = {name: set() for name in SPACE}
    for seed in range(8):
        for parameters in search(new_study(make(SPACE, seed)), 20):
            for name, option in parameters.items():
                seen[name].add(option)
    for name, distribution in SPACE.items():
        assert isinstance(distribution, CategoricalDistribution)
        assert seen[name] == set(distribution.choices), f"{name}: only {seen[name]} were ever proposed"


REPEATABLE = (repeats_with_the_same_seed, goes_on_after_a_restart)
CHECKS = (
    stays_in_the_space,
    *REPEATABLE,
    differs_with_the_seed,
    bears_what_went_wrong,
    minimises_too,
    tries_everything,
)
