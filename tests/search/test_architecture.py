"""The search of an architecture as a problem: what is proposed, what is judged, what it is worth."""

import json
import random
from dataclasses import replace
from itertools import islice

import pytest
import yaml
from devices import law, made_up

from compound import ZOO, UsageError, cost
from compound.data import DataSpec
from compound.latency import unit_kinds, units
from compound.search.architecture import ArchitectureSearch, affordable
from compound.search.architecture_plan import shortened
from compound.search.covering import spread
from compound.search.finish import by_merit
from compound.search.objective import Objective
from compound.search.place import place_in
from compound.search.space_file import find_space, parse_space
from compound.search.spending import DeviceLatency
from compound.training import RECIPES
from compound.training.short import ShortTraining
from compound.trials import STRATEGIES, RankedTrial, Search, trials_of, work
from compound.verbs.architecture import beginnings

TINY = """
name: tiny
resolution: 28
stem: {block: conv, kernel: 3, channels: 4, stride: 2}
stages:
- {block: {choices: [mbconv, fused-mbconv]}, expand: {choices: [1, 2]}, layers: 1, channels: {choices: [4, 8]}, stride: 2}
- {block: mbconv, kernel: {choices: [3, 5]}, layers: {choices: [0, 1]}, channels: 8}
head: {channels: 8}
inputs: {mean: [0.5], std: [0.25], margin: 0}
"""
SPACE = parse_space(yaml.safe_load(TINY))
FIRST = {choice.name: choice.labels[0] for choice in SPACE.choices}


class Judge:
    """Accuracy is the share of 3000 parameters."""

    @property
    def settings(self):
        return {"judge": 1}

    def __call__(self, network, seed, report):
        return min(cost(network.with_(classes=10, channels=1)).params / 3000, 1.0)


def problem(**fields):
    return ArchitectureSearch(
        SPACE.with_(classes=10, channels=1), Objective("params", 1000, **fields), Judge(), 0.2, 2.0
    )


def test_an_outcome_has_the_reward_and_what_the_leaderboard_shows():
    found = problem()
    candidate = found.candidate(FIRST)
    outcome = found.evaluate(candidate, 0, lambda step, value: None)
    counted = cost(candidate.network.with_(classes=10, channels=1))
    assert outcome.values == (counted.params / 3000 * (counted.params / 1000) ** -0.07,)
    assert outcome.fields["macs"] == counted.macs
    assert problem(form="pareto").evaluate(candidate, 0, print).values == (counted.params / 3000, counted.params)
    assert problem(form="pareto").directions == ("maximize", "minimize")


def test_candidates_outside_the_window_or_twice_in_the_space_are_not_evaluated():
    assert problem().candidate(FIRST) is not None
    assert problem().candidate(FIRST | {"stage2.kernel": 5}) is None  # row 2 is left out: the same network
    assert (
        ArchitectureSearch(SPACE.with_(classes=10, channels=1), Objective("params", 1e6), Judge(), 0.5, 1.2).candidate(
            FIRST
        )
        is None
    )


def test_settings_tell_searches_apart():
    assert problem().settings() != problem(cost_exponent=-0.1).settings()
    assert json.dumps(problem().settings()) == json.dumps(problem().settings())


@pytest.mark.parametrize("strategy", ["grid", "tpe"])
def test_networks_made_by_hand_are_judged_first(tmp_path, strategy):
    """Given in the order of their costs, turned round: neither a sweep nor a sampler would begin with both."""
    found = problem()
    places = [p for p in map(dict, (FIRST, FIRST | {"stage1.channels": 8})) if found.candidate(p)]
    networks = [found.space.network(place).with_(name="by hand") for place in reversed(places)]
    first = beginnings(networks, found)
    assert list(first) == places[::-1]
    assert len(places) == 2
    search = Search(found, str(tmp_path / "j"), 4, STRATEGIES[strategy], first=first)
    work(search)
    tried = [trial.params for trial in trials_of(search)]
    assert tried[:2] == list(first)
    assert len({str(one) for one in tried}) == 4


def test_finalists_are_those_that_all_candidates_together_speak_for():
    """One that was lucky is not the first where its likes were not; of few candidates the leaderboard stands."""
    found = ArchitectureSearch(
        find_space("small").with_(classes=10, channels=1), Objective("macs", 1e7, "hard"), Judge()
    )
    rng = random.Random(3)
    places = [found.space.sample(rng) for _ in range(24)]
    wide = [place["stem.channels"] == 32 for place in places]
    accuracies = [0.85 if is_wide else 0.80 for is_wide in wide]
    lucky = wide.index(False)
    accuracies[lucky] = 0.86
    order = sorted(range(24), key=lambda i: -accuracies[i])
    entries = [
        RankedTrial(
            rank, i, "complete", (accuracies[i],), 1.0, places[i], {"accuracy": accuracies[i], "macs": 1e6}, None
        )
        for rank, i in enumerate(order, 1)
    ]
    assert entries[0].number == lucky
    ranked = [entries[place].number for place in by_merit(found, entries)]
    assert ranked[0] != lucky
    assert by_merit(found, entries[:9]) == list(range(9))


@pytest.mark.parametrize(
    ("epochs", "steps", "short"), [(25, 75, (2, 59)), (1, 75, (1, 50)), (4, 8, (4, 8)), (25, 843, (2, 659))]
)
def test_a_short_training_is_a_sixteenth_of_the_steps(epochs, steps, short):
    full = ShortTraining(DataSpec("fashion6k"), replace(RECIPES["small"], epochs=epochs))
    found = shortened(full, steps)
    assert (found.recipe.epochs, found.steps) == short


def test_a_network_to_begin_with_lies_in_the_space_and_its_costs():
    with pytest.raises(UsageError, match="efficientnet-b0 is no network of the space tiny: its stem, rows and head"):
        beginnings(["efficientnet-b0"], problem())
    dear = ArchitectureSearch(SPACE.with_(classes=10, channels=1), Objective("params", 1e6), Judge(), 0.5, 1.2)
    network = dear.space.network(FIRST)
    with pytest.raises(UsageError, match=r"costs 0\.00 times the target; give --least and --most"):
        beginnings([network], dear)
    assert place_in(SPACE, ZOO["efficientnet-mini"]) is None


@pytest.mark.long
def test_a_device_table_has_every_unit_of_the_space_before_anything_is_trained():
    """EfficientNet's units lack the pooled shortcuts of MnasNet's space and its fused convolutions."""
    space = find_space("mnasnet")
    lacking = DeviceLatency(made_up())
    search = ArchitectureSearch(space, Objective("latency", 0.01, measure=lacking), Judge())
    with pytest.raises(
        UsageError, match=r"no time of average 3×3.* and \d more, .* measure device --space mnasnet --run"
    ):
        affordable(search, 0)
    chosen = spread(space, 16, random.Random(0))
    whole = replace(lacking.table, units=timed_by_law(chosen))
    affordable(replace(search, objective=Objective("latency", 1.0, measure=DeviceLatency(whole))), 0)
    every = {kind for _, one in islice(space.networks(random.Random(1)), 60) for kind in unit_kinds(one)}
    assert every <= set(whole.units)
    assert {network.name for network in chosen} == {"mnasnet"}


def timed_by_law(networks):
    found = {}
    for network in networks:
        for row in network.blocks():
            for unit, _ in units(row.trace):
                found.setdefault(unit.kind, {})[unit.size] = law(unit)
    return {kind: [(*size, time) for size, time in sizes.items()] for kind, sizes in found.items()}
