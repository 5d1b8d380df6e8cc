"""`compound search architecture` and `validate`, from the command line to their files."""

import json
import math
import random
from functools import partial

import pytest

import compound
from compound import ArchitecturePlan, Proposals, Sharing, cost, load_network, save_network
from compound.search.space_file import find_space
from compound.search.surrogate import Surrogate
from compound.training import open_run

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


@pytest.fixture
def space(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


@pytest.fixture
def searching(cli, space, tmp_path):
    """The command with options that take seconds."""
    words = (
        "search",
        "architecture",
        "fashion6k",
        "--space",
        space,
        "--params",
        "1000",
        "--least",
        "0.1",
        "--most",
        "5",
    )
    return partial(cli.json, *words, "--epochs", "1", "--workers", "1", "--trials", "6", "--out", tmp_path / "out")


@pytest.mark.slow
def test_a_search_by_shared_weights_and_its_validation(cli, searching, tmp_path):
    found = searching("--evaluation", "shared", "--minutes", "0.05", "--finalists", "2")
    out = tmp_path / "out"
    assert (found["completed"], found["failed"]) == (6, 0)
    winner = load_network(out / "network.yaml")
    assert found["best"]["network"] == winner.name
    assert found["best"]["params"] == cost(winner.with_(classes=10, channels=1)).params
    best = max(found["best"]["trained"], key=lambda one: one["reward"])
    assert best["network"] == winner.name
    run = open_run(found["best"]["run"])  # its weights are there, and its test images are kept for the end
    assert (run.network.name, run.state, run.evaluation.exists()) == (winner.name, "done", False)
    assert run.weights.stat().st_size > 0
    for name in ("leaderboard.csv", "leaderboard.json", "search.svg", "search.png", "shared.safetensors", "space.yaml"):
        assert (out / name).stat().st_size > 0
    assert cli("train", out / "network.yaml", "fashion6k", "--epochs", "1", "--out", tmp_path / "run")[0] == 0
    checked = cli.json("search", "validate", out, "--sample", "3", "--epochs", "1")
    assert -1 <= checked["proxy"]["low"] <= checked["proxy"]["tau"] <= checked["proxy"]["high"] <= 1
    again = cli.json("search", "validate", out, "--sample", "3", "--epochs", "1")
    assert again["proxy"] == checked["proxy"]  # nothing is trained twice
    plan = ArchitecturePlan("fashion6k", "params", 1000, least=0.1, most=5, evaluation="shared", minutes=0.05, epochs=1)
    same = compound.search_architecture(
        plan, tmp_path / "tiny.yaml", out, proposals=Proposals(trials=6, finalists=2), sharing=Sharing(workers=1)
    )
    assert json.loads(json.dumps(same.to_json())) == found
    assert compound.validate_search(out, 3, epochs=1).to_json() == again


def test_networks_are_foreseen_by_what_a_search_has_learnt(cli, tmp_path):
    space, rng = find_space("small").with_(classes=10, channels=1), random.Random(0)
    drawn = [space.sample(rng) for _ in range(20)]
    Surrogate.learnt(space, [(one, one["stem.channels"] / 100) for one in drawn], "made up").save(
        tmp_path / "surrogate.json"
    )
    names = []
    for width in (16, 32):
        place = next(one for one in drawn if one["stem.channels"] == width)
        names.append(str(save_network(space.network(place).with_(name=f"of-{width}"), tmp_path / f"{width}.yaml")))
    found = cli.json("search", "predict", tmp_path, *names)
    assert [one["network"] for one in found["networks"]] == ["of-32", "of-16"]
    assert found["networks"][0]["macs"] == cost(load_network(names[1]).with_(classes=10, channels=1)).macs
    assert (found["of"], found["learnt_from"]) == ("made up", 20)
    code, error = cli.error("search", "predict", tmp_path, "resnet-18")
    assert code == 2
    assert "resnet-18 is no network of the space small" in error
    assert "surrogate.json" in cli.error("search", "predict", tmp_path / "nowhere", *names)[1]


@pytest.mark.slow
def test_a_search_goes_on_where_it_stood(searching, tmp_path):
    first = searching("--evaluation", "short", "--finalists", "0", "--trials", "2")
    rest = searching("--evaluation", "short", "--finalists", "0", "--trials", "4")
    assert (first["completed"], rest["completed"]) == (2, 4)


@pytest.mark.slow
@pytest.mark.parametrize("evaluation", ["halving", "shrunken", "curves"])
def test_other_evaluations(searching, evaluation):
    found = searching("--evaluation", evaluation, "--trials", "3", "--finalists", "0", "--strategy", "random")
    assert found["completed"] >= 1
    assert math.isfinite(found["best"]["values"][0])


@pytest.mark.slow
def test_a_front(searching):
    found = searching("--evaluation", "short", "--objective", "pareto", "--strategy", "nsga2", "--finalists", "0")
    accuracies = [accuracy for accuracy, _, _ in found["best"]["front"]]
    assert accuracies == sorted(accuracies)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "give one target: --macs, --params, --activations, --memory, --latency; none was given"),
        (("--latency", "2ms"), "latency needs --device FILE.json; make one with: compound measure device"),
        (("--latency", "2"), "--latency '2' is not a time; write e.g. 20ms"),
        (("--macs", "1M", "--params", "1M"), "2 was given"),
        (("--macs", "400G"), "none of 300 networks of tiny costs 0.5 to 1.2 times 400G macs; theirs is"),
        (("--macs", "1M", "--strategy", "evolve"), "there is no strategy 'evolve'"),
        (("--macs", "1M", "--objective", "pareto"), "strategy evolution follows one value"),
        (("--macs", "1M", "--least", "3"), "no cost lies between 3 and 1.2 times the target"),
        (("--macs", "1M", "--evaluation", "oracle"), "evaluation 'oracle' is not valid"),
        (("--macs", "1M", "--recipe", "huge"), "there is no recipe 'huge'"),
    ],
)
def test_mistakes_are_said_in_one_sentence(cli, space, tmp_path, words, said):
    code, error = cli.error("search", "architecture", "fashion6k", "--space", space, *words, "--out", tmp_path / "out")
    assert code == 2
    assert said in error
    assert error.count("\n") == 1


def test_a_folder_of_another_search_and_a_folder_of_none(cli, space, tmp_path):
    (tmp_path / "space.yaml").write_text("name: other\n")
    code, error = cli.error(
        "search", "architecture", "fashion6k", "--space", space, "--params", "1000", "--out", tmp_path, "--least", "0.1",
    )  # fmt: skip
    assert code == 2
    assert "holds another search (its space.yaml differs)" in error
    code, error = cli.error("search", "validate", tmp_path / "nowhere")
    assert code == 2
    assert "holds no architecture search" in error
