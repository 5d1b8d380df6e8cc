"""Screens, proxies and what a proxy's ranking is worth."""

import random

import numpy as np
import pytest
import torch
from torch import nn

from compound import ConvBlock, Head, Network, Stage, Style, UsageError
from compound.nn import build
from compound.search.evaluators.shrunken import Shrunken
from compound.search.proxies import BATCH, Proxy, naswot, synflow
from compound.search.samplers.screens import ProxyScreen, SurrogateScreen
from compound.search.simulated import Simulated
from compound.search.space_file import find_space
from compound.search.strategies import architecture_strategy
from compound.search.surrogate import ConfigurationFeatures, Ridge, Surrogate, load_surrogate
from compound.search.validation import agreement, kendall
from compound.trials import Past, RandomSearch
from compound.trials.testing import new_study, quiet

SPACE = find_space("small")
LINE = Network("line", Stage(ConvBlock(1), 1, 2), (Stage(ConvBlock(1), 1, 3),), Head(), 4, style=Style("relu"))


def test_ridge_is_the_closed_form():
    """Against the normal equations, and the leave-one-out error against leaving each one out."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 5)), rng.normal(size=30)
    ridge = Ridge.fit(x, y)
    z = (x - x.mean(0)) / x.std(0)
    weights = np.linalg.solve(z.T @ z + ridge.penalty * np.eye(5), z.T @ (y - y.mean()))
    np.testing.assert_allclose(ridge.weights, weights, rtol=1e-8)
    errors = []
    for i in range(30):
        kept = np.arange(30) != i
        design = np.hstack([z, np.ones((30, 1))])
        penalty = ridge.penalty * np.diag([1.0] * 5 + [0.0])
        solved = np.linalg.solve(design[kept].T @ design[kept] + penalty, design[kept].T @ y[kept])
        errors.append(y[i] - design[i] @ solved)
    assert ridge.error == pytest.approx(float(np.sqrt(np.mean(np.square(errors)))), rel=1e-6)


def test_what_features_do_not_foresee_is_not_foreseen_the_wrong_way_round():
    """Of values without a law, what is left out is ranked by chance; the mean of the others would rank it reversed."""
    rng = np.random.default_rng(0)
    taus = []
    for _ in range(30):
        x, y = rng.normal(size=(20, 3)), rng.normal(size=20)
        taus.append(kendall(Ridge.fit(x, y).left_out.tolist(), y.tolist()))
    assert abs(np.mean(taus)) < 0.2


def test_the_surrogate_learns_to_rank_what_it_has_not_seen():
    objective, features = Simulated(SPACE, 3), ConfigurationFeatures(SPACE.with_(classes=10, channels=1))
    rng = random.Random(0)
    drawn = [SPACE.sample(rng) for _ in range(160)]
    x, y = np.stack([features(p) for p in drawn]), np.array([objective(p) for p in drawn])
    foreseen = Ridge.fit(x[:100], y[:100]).predict(x[100:])
    assert kendall(foreseen.tolist(), y[100:].tolist()) > 0.5


def test_a_surrogate_is_a_file_that_can_be_asked(tmp_path):
    space, rng = SPACE.with_(classes=10, channels=1), random.Random(1)
    drawn = [SPACE.sample(rng) for _ in range(40)]
    learnt = Surrogate.learnt(space, [(place, space.network(place).stem.channels / 100) for place in drawn], "channels")
    file = learnt.save(tmp_path / "surrogate.json")
    asked = load_surrogate(tmp_path)
    place = next(place for place in drawn if place["stem.channels"] == 24)
    assert asked.predict(space.network(place)) == learnt(place) == pytest.approx(0.24, abs=0.01)
    assert (asked.of, asked.networks, asked.space.fingerprint) == ("channels", 40, space.fingerprint)
    with pytest.raises(UsageError, match="line is no network of the space small"):
        asked.predict(LINE)
    file.write_text(file.read_text().replace('"weights": [', '"weights": [1.0, '))
    with pytest.raises(UsageError, match="has no weights of its space; let the search write it again"):
        load_surrogate(file)
    with pytest.raises(UsageError, match="9 networks teach a surrogate nothing"):
        Surrogate.learnt(space, [(place, 0.5) for place in drawn[:9]], "nothing")


@pytest.mark.slow
def test_a_screened_search_finds_more_in_the_same_trials():
    objective = Simulated(SPACE, 1)
    distributions = SPACE.distributions()
    found = []
    for screen in (None, SurrogateScreen(ConfigurationFeatures(SPACE.with_(classes=10, channels=1)), 20)):
        study = new_study(RandomSearch(distributions, 0, screen))
        with quiet():
            for _ in range(60):
                trial = study.ask(distributions)
                study.tell(trial, objective(trial.params))
        found.append(np.mean([t.value for t in study.get_trials()[20:]]))
    assert found[1] > found[0] + 0.05


def test_a_proxy_picks_the_highest_score():
    screen = ProxyScreen(SPACE, lambda network: network.stem.channels)
    base = {choice.name: choice.labels[0] for choice in SPACE.choices}
    assert screen([base, base | {"stem.channels": 32}, base | {"stem.channels": 24}], []) == 1


def test_synflow_by_hand():
    """Layers of 1×1 windows without norms, on ones: each layer's Σ |θ ∂R/∂θ| is R itself; four positions of 4×4 pooled."""
    network = LINE.with_(style=Style("relu", norm="none"))
    model = build(network.with_(classes=2, channels=1), seed=0)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.weight.fill_(0.5)
                module.bias.zero_()
    # R = Σ logits = 2 · (3 · 0.5 · (2 · 0.5 · (0.5))) = 1.5; three layers with weights
    assert synflow(model, 0) == pytest.approx(np.log(3 * 1.5))


def test_naswot_by_hand():
    """The kernel counts equal signs; NumPy's determinant of it."""
    model = build(LINE.with_(classes=2, channels=1), seed=0)
    codes = []
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(lambda m, i, o: codes.append((i[0] > 0).flatten(1).numpy()))
    score = naswot(model, 0)
    signs = np.hstack(codes)
    kernel = (signs[:, None] == signs[None]).sum(-1).astype(float)
    assert kernel.shape == (BATCH, BATCH)
    assert score == pytest.approx(np.linalg.slogdet(kernel)[1])


def test_proxies_are_repeatable():
    proxy = Proxy("naswot")
    assert proxy(LINE) == proxy(LINE)


class Judge:
    @property
    def settings(self):
        return {"name": "judge"}

    def __call__(self, network, seed, report):
        return network.resolution / 100


def test_shrunken_networks_are_judged():
    shrunken = Shrunken(Judge(), -2)
    assert shrunken(LINE.with_(resolution=32), 0, lambda step, value: None) == 0.24  # 32 · 1.15^−2
    assert shrunken.settings["phi"] == -2


@pytest.mark.parametrize(
    ("one", "two", "tau"),
    [
        ([1, 2, 3, 4, 5], [1, 2, 3, 4, 5], 1.0),
        ([1, 2, 3, 4, 5], [5, 4, 3, 2, 1], -1.0),
        ([1, 2, 3, 4], [1, 3, 2, 4], 2 / 3),  # one of six pairs the other way round
        ([1, 1, 2, 3], [1, 2, 2, 3], 0.8),  # τ-b: 4 concordant, none discordant, √(5 · 5)
    ],
)
def test_kendall_by_hand(one, two, tau):
    assert kendall(one, two) == pytest.approx(tau, abs=1e-6)


@pytest.mark.long
def test_the_interval_of_tau_holds_what_the_sample_comes_from():
    """Pairs of normals with correlation ρ have τ = 2/π · asin ρ; the 95 % interval holds it in most of 40 samples."""
    rng, rho = np.random.default_rng(0), 0.7
    truth = 2 / np.pi * np.arcsin(rho)
    held = 0
    for seed in range(40):
        a = rng.normal(size=30)
        b = rho * a + np.sqrt(1 - rho**2) * rng.normal(size=30)
        found = agreement(a.tolist(), b.tolist(), seed, 300)
        assert found.low < found.tau < found.high
        held += found.low <= truth <= found.high
    assert held >= 34


def test_what_is_refused():
    with pytest.raises(UsageError, match="2 networks have no ranking to speak of"):
        agreement([1, 2], [1, 2])
    for name, fields, said in [
        ("evolve", {}, "there is no strategy 'evolve'"),
        ("ppo", {"form": "pareto"}, "strategy ppo follows one value and --objective pareto has two"),
        ("tpe", {"screen": "surrogate"}, "--screen surrogate cannot look into tpe"),
        ("random", {"screen": "zen"}, "there is no screen 'zen'"),
    ]:
        with pytest.raises(UsageError, match=said):
            architecture_strategy(name, SPACE, 100, **fields)


def test_strategies_can_be_sent_to_workers():
    import pickle

    for name in ("random", "evolution", "ppo", "tpe", "nsga2"):
        strategy = architecture_strategy(name, SPACE, 100, screen="surrogate" if name == "evolution" else "none")
        assert pickle.loads(pickle.dumps(strategy)).sampler(3) is not None


def test_history_is_in_order_and_larger_is_better():
    study = new_study(RandomSearch(SPACE.distributions()), "minimize")
    with quiet():
        trial = study.ask(SPACE.distributions())
        study.tell(trial, 3.0)
    assert study.sampler._history(study) == [Past(0, trial.params, -3.0)]
