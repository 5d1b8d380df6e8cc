"""Strategies: every one passes the shipped conformance suite, and ours beat random search where the optimum is known."""

import random
import statistics
from functools import partial

import optuna
import pytest
import torch
from optuna.distributions import IntDistribution
from optuna.samplers import NSGAIISampler, TPESampler

from compound.errors import UsageError
from compound.search.samplers.evolution import RegularizedEvolution
from compound.search.samplers.ppo import PPO, Controller
from compound.search.simulated import Simulated
from compound.search.space_file import find_space
from compound.search.strategies import SETTINGS, architecture_strategy
from compound.trials import RandomSearch
from compound.trials.board import VOID
from compound.trials.testing import CHECKS, SPACE, new_study, quiet, repeats_with_the_same_seed, search

MAKERS = {
    "random": RandomSearch,
    "evolution": partial(RegularizedEvolution, population=10, sample=4),
    "ppo": partial(PPO, batch=8),
    "tpe": lambda distributions, seed: TPESampler(seed=seed),
    "nsga2": lambda distributions, seed: NSGAIISampler(seed=seed, population_size=10),
}
KEEP_GENERATORS = ("tpe", "nsga2")  # between trials; the engine makes them anew for every draw


@pytest.mark.long
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", MAKERS)
def test_the_conformance_suite(name, check):
    if name in KEEP_GENERATORS and check.__name__ in ("goes_on_after_a_restart", "bears_what_went_wrong"):
        pytest.skip("Optuna's samplers keep a generator")
    check(MAKERS[name])


def test_the_suite_sees_a_sampler_that_keeps_a_generator():
    class Forgetful(RandomSearch):
        generator = random.Random(0)

        def propose(self, history, rng):
            return self.drawn(self.generator)

    with pytest.raises(AssertionError, match="the same seed proposed something else"):
        repeats_with_the_same_seed(Forgetful)


@pytest.mark.parametrize("name", ["random", "evolution", "ppo"])
def test_a_trial_that_was_lost_with_its_worker_changes_no_later_choice(name):
    def chosen(lost):
        study = new_study(MAKERS[name](SPACE, 3))
        search(study, 11)
        for _ in range(lost):
            study.add_trial(optuna.create_trial(state=optuna.trial.TrialState.FAIL, system_attrs={VOID: "killed"}))
        search(study, 9)
        return [trial.params for trial in study.trials if trial.state == optuna.trial.TrialState.COMPLETE]

    assert chosen(lost=2) == chosen(lost=0)


def test_a_child_differs_from_the_best_living_in_one_choice():
    study = new_study(RandomSearch(SPACE, 1))
    search(study, 12)
    sampler = RegularizedEvolution(SPACE, population=5, sample=5)
    history = sampler._history(study)
    best = max(history[-5:], key=lambda past: past.value)
    for seed in range(20):
        child = sampler.propose(history, random.Random(seed))
        assert sum(child[name] != best.parameters[name] for name in child) == 1


def test_the_oldest_dies_however_good_it_is():
    sampler = RegularizedEvolution(SPACE, population=5, sample=5)
    study = new_study(RandomSearch(SPACE, 1))
    search(study, 12)
    history = sampler._history(study)
    oldest = history[0]
    history[0] = type(oldest)(oldest.number, oldest.parameters, 100.0)
    assert sampler.propose(history, random.Random(0)) == sampler.propose(history[1:], random.Random(0))
    assert sampler.propose(history[:5], random.Random(0)) != sampler.propose(history[1:6], random.Random(0))


@pytest.mark.long
def test_the_controller_learns_the_rewarded_option():
    """In closed form: a bandit with one rewarded option of three has probability near one at its end."""
    torch.manual_seed(0)
    sampler = PPO({"kernel": SPACE["stage1.kernel"]}, batch=10, rate=0.05)
    with quiet():
        study = optuna.create_study(direction="maximize", sampler=sampler)
        for _ in range(150):
            trial = study.ask(sampler.distributions)
            study.tell(trial, float(trial.params["kernel"] == 5))
    controller = sampler.trained[0].controller
    logs, _ = controller(torch.tensor([[0], [1], [2]]))
    assert logs.exp()[1] > 0.9
    torch.testing.assert_close(logs.exp().sum(), torch.tensor(1.0))


def test_the_controllers_probabilities_sum_to_one_over_a_space():
    controller = Controller([2, 3, 2])
    every = torch.tensor([[a, b, c] for a in range(2) for b in range(3) for c in range(2)])
    logs, entropy = controller(every)
    torch.testing.assert_close(logs.exp().sum(), torch.tensor(1.0))
    assert (entropy > 0).all()


@pytest.mark.long
def test_a_controller_taught_at_once_is_one_taught_step_by_step():
    study = new_study(PPO(SPACE, 4, batch=8))
    search(study, 40)
    store = []
    step_by_step = PPO(SPACE, 4, batch=8, trained=store)
    history = step_by_step._history(study)
    for end in range(len(history) + 1):
        step_by_step.after(history[:end])
    fresh = PPO(SPACE, 4, batch=8).after(history).controller.state_dict()
    for name, tensor in store[0].controller.state_dict().items():
        torch.testing.assert_close(tensor, fresh[name], rtol=0, atol=0)


def test_what_our_samplers_refuse():
    with pytest.raises(UsageError, match="depth is not a choice among options, which RandomSearch needs"):
        RandomSearch({"depth": IntDistribution(1, 3)})
    with pytest.raises(UsageError, match="sample 9 of a population of 4 is not possible"):
        RegularizedEvolution(SPACE, population=4, sample=9)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=RandomSearch(SPACE))
    with pytest.raises(UsageError, match="follows one value and this search has several"):
        study.ask(SPACE)


def found(make, objective, trials, seed):
    """The best worth that a strategy finds, 1 for the optimum."""
    distributions = objective.space.distributions()
    study = new_study(make(distributions, seed))
    with quiet():
        for _ in range(trials):
            trial = study.ask(distributions)
            study.tell(trial, objective(trial.params))
    return study.best_value


def rank_sum_z(ours, theirs):
    """Mann–Whitney's U as a normal deviate (no ties)."""
    u = sum(a > b for a in ours for b in theirs)
    n, m = len(ours), len(theirs)
    return (u - n * m / 2) / (n * m * (n + m + 1) / 12) ** 0.5


def beats_random(name, make, trials, seeds):
    space = find_space("small")
    objectives = [Simulated(space, seed) for seed in range(seeds)]
    ours = [
        found(partial(make, **({"controller_seed": seed} if name == "ppo" else {})), o, trials, seed)
        for seed, o in enumerate(objectives)
    ]
    theirs = [found(RandomSearch, o, trials, seed) for seed, o in enumerate(objectives)]
    z = rank_sum_z(ours, theirs)
    wins = sum(a > b for a, b in zip(ours, theirs, strict=True))
    print(
        f"{name}: median {statistics.median(ours):.3f} against {statistics.median(theirs):.3f} of random search, "
        f"{wins} of {seeds} seeds won, Mann-Whitney z = {z:.2f}"
    )
    return z, wins


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("evolution", partial(RegularizedEvolution, population=40, sample=10)),
        pytest.param("ppo", PPO, marks=pytest.mark.slow),
    ],
)
def test_strategies_beat_random_search(name, make):
    """Four seeds, 160 trials; one-sided 5 % of the exact rank-sum test at 4 against 4 is U ≥ 15, z = 2.02."""
    z, _ = beats_random(name, make, 160, 4)
    assert z > 2


@pytest.mark.slow
@pytest.mark.parametrize(("name", "make"), [("evolution", RegularizedEvolution), ("ppo", PPO)])
def test_strategies_beat_random_search_over_twenty_seeds(name, make):
    """The defaults at 400 evaluations; z > 3.3 is p < 0.0005."""
    z, wins = beats_random(name, make, 400, 20)
    assert z > 3.3
    assert wins >= 18


def test_the_simulated_optimum_is_the_optimum():
    """By looking at every configuration of a small space."""
    from itertools import product

    from compound.search.space_file import parse_space

    row = {
        "block": "mbconv",
        "kernel": {"choices": [3, 5]},
        "layers": {"choices": [1, 2, 3]},
        "channels": {"choices": [8, 16]},
    }
    space = parse_space(
        {"resolution": 16, "stem": {"block": "conv", "channels": 8}, "stages": [row, {**row, "stride": 2}]}
    )
    objective = Simulated(space, 1)
    worths = [
        objective.worth(dict(zip([c.name for c in space.choices], values, strict=True)))
        for values in product(*(c.labels for c in space.choices))
    ]
    assert len(worths) == 144
    assert max(worths) == pytest.approx(objective.best)
    assert min(worths) == pytest.approx(objective.worst)


def test_what_can_be_set_of_a_strategy():
    space = find_space("small")
    made = architecture_strategy("evolution", space, 500, settings={"population": 40, "sample": 10})
    sampler = made.sampler(0)
    assert (sampler.population, sampler.sample) == (40, 10)
    assert made.name == "evolution population 40 sample 10"
    ppo = architecture_strategy("ppo", space, 50, settings={"rate": 0.1, "batch": 4}).sampler(0)
    assert (ppo.rate, ppo.batch, ppo.epochs) == (0.1, 4, 4)
    for name, usual in SETTINGS.items():  # the defaults that messages name are those of the samplers
        sampler = MAKERS[name].func(SPACE)
        assert {setting: getattr(sampler, setting) for setting in usual} == usual


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("evolution", {"populaton": 40}, "strategy evolution has no setting 'populaton'; did you mean 'population'"),
        ("tpe", {"population": 40}, "strategy tpe has no setting 'population'"),
        ("evolution", {"population": 2.5}, "population 2.5 is no setting of evolution; use e.g. 100"),
        ("evolution", {"population": 4, "sample": 8}, "sample 8 of a population of 4 is not possible"),
        ("ppo", {"rate": -1}, "rate -1 is no setting of ppo; use e.g. 0.02"),
        ("ppo", {"rate": float("nan")}, "rate nan is no setting of ppo"),
    ],
)
def test_what_cannot_be_set(name, settings, said):
    with pytest.raises(UsageError, match=said):
        architecture_strategy(name, find_space("small"), 50, settings=settings)
