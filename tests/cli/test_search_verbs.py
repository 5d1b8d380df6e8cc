"""`compound search coefficients` as a user runs it, on real images and a tiny network."""

import csv
import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest

import compound
from compound import RECIPES, CoefficientSearch, DataSpec, Sharing, TransferSearch

NETWORK = """
name: my-net
resolution: 14
stem: {block: conv, channels: 8, stride: 2}
stages:
- {block: fused-mbconv, kernel: 3, expand: 2, layers: 1, channels: 16, stride: 2}
- {block: mbconv, kernel: 5, expand: 2, layers: 2, channels: 24}
head: {channels: 32}
inputs: {mean: [0.3], std: [0.35], margin: 0}
"""


@pytest.fixture
def words(tmp_path, monkeypatch, write_photos):
    """Network and data, 40 real images each of three classes."""
    monkeypatch.chdir(tmp_path)
    write_photos(tmp_path / "photos", 40)
    (tmp_path / "my.yaml").write_text(NETWORK)
    return ("my.yaml", "photos", "--channels", 1, "--tolerance", 0.2, "--epochs", 1, "--batch", 16)


@pytest.mark.long
def test_a_search_ends_in_a_rule_that_the_other_verbs_take(cli, words, tmp_path):
    value = cli.json("search", "coefficients", *words, "--trials", 3, "--workers", 1, "-o", "out")
    assert (value["completed"], value["failed"], value["pruned"]) == (3, 0, 0)
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {
        "rule.yaml", "result.json", "leaderboard.csv", "leaderboard.json", "surface.svg", "surface.png", "step2.json",
        "search.journal", "search.journal.lock", "command.json",
    }  # fmt: skip
    assert json.loads((out / "result.json").read_text()) == value
    ElementTree.parse(out / "surface.svg")
    rows = list(csv.DictReader((out / "leaderboard.csv").read_text(encoding="utf-8").splitlines()))
    assert float(rows[0]["accuracy"]) == value["accuracy"]
    assert value["best"]["accuracies"][0] != value["best"]["accuracies"][1]
    scaled = cli.json("scale", "my.yaml", "--phi", 1, "--rule", "out/rule.yaml", "--classes", 3, "--channels", 1)
    assert scaled["macs"] == value["step2"][1]["macs"] == value["best"]["macs"]
    assert scaled["depth"] == value["alpha"]
    planned = cli.json("plan", "my.yaml", "--macs", "1M", "--rule", "out/rule.yaml")
    assert planned["depth"] == pytest.approx(value["alpha"] ** planned["phi"])
    # The paper's triple is trained too, at whatever it costs, and takes a place among the three.
    paper = value["paper"]
    assert 1 <= paper["place"] <= paper["of"] <= 4
    assert paper["candidate"] == (paper["of"] == 3)
    own = cli.json("scale", "my.yaml", "--phi", 1, "--classes", 3, "--channels", 1)
    base = cli.json("show", "my.yaml", "--classes", 3, "--channels", 1)
    assert paper["cost_factor"] == pytest.approx(own["macs"] / base["macs"], abs=1e-4)
    # The same command again finds everything done, and a changed one is refused.
    again = cli.json("search", "coefficients", *words, "--trials", 3, "--workers", 1, "-o", "out")
    assert again == value
    # So does the function: it is the same search.
    recipe = replace(RECIPES["small"], epochs=1, batch=16)
    found = compound.search_coefficients(
        "my.yaml", DataSpec("photos", 1, holdout=0.2), recipe, "out",
        asked=CoefficientSearch(tolerance=0.2, trials=3), sharing=Sharing(workers=1),
    )  # fmt: skip
    assert json.loads(json.dumps(found.to_json())) == value
    assert found.rule.alpha == value["alpha"]
    code, err = cli.error("search", "coefficients", *words, "--trials", 3, "--workers", 1, "-o", "out", "--seeds", 3)
    assert code == 2
    assert "holds another search 'coefficients of my-net': settings seeds is 2 there and 3 here" in err


@pytest.mark.long
def test_the_cost_is_told_before(cli, words, tmp_path, monkeypatch):
    monkeypatch.setattr("compound.training.short.MEASURE_SECONDS", 0.1)
    value = cli.json("search", "coefficients", *words, "--search-cost", "--workers", 1)
    assert value["seconds"] == pytest.approx(value["seconds_a_training"] * 2 * value["trials"], abs=3)
    assert value["macs"] > 0
    assert not (tmp_path / "runs").exists()


@pytest.mark.long
@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (("--tolerance", "0.0001"), 2, "no coefficients scale my-net"),
        (("--sampler", "tpo"), 2, "there is no sampler 'tpo'; did you mean 'tpe'"),
        (("--target-cost", "much"), 2, "--target-cost 'much' is not a multiple; write e.g. 2x"),
        (("--cost", "flops"), 2, "cost 'flops' is unknown; use macs, params, activations, memory or theory"),
        (("--storage", "postgresql://127.0.0.1:1/none"), 1, "cannot be reached"),
        (("--storage", "my.yaml"), 2, "my.yaml is not the journal of a search"),
        (("--holdout", "0"), 1, "has no held-out images"),
    ],
)
def test_bad_requests_are_one_sentence(cli, words, more, code, said):
    found, err = cli.error("search", "coefficients", *words, *more, "--workers", 1, "-o", "out")
    lines = err.splitlines()
    assert found == code, err
    assert lines[-1].startswith("error: ")
    assert said in lines[-1]


@pytest.fixture
def pretrained(words, tmp_path):
    """Weights of the network for three other classes."""
    import torch

    from compound import load_network
    from compound.nn import build, save_weights

    torch.manual_seed(0)
    return save_weights(
        build(load_network("my.yaml").with_(classes=4, channels=1), seed=5), tmp_path / "w.safetensors", tuple("abcd")
    )


@pytest.mark.long
def test_fine_tuning_is_chosen_by_validation_and_tested_once(cli, words, pretrained, tmp_path):
    small = ("--rates", 2, "--decays", 2, "--steps", 4, "--batch", 32, "--channels", 1, "--workers", 1, "-o", "out")
    value = cli.json("search", "transfer", *words[:2], "--weights", pretrained, *small)
    assert (value["complete"], value["failed"]) == (4, 0)
    assert value["rate"] in (1e-4, 1e-1)
    assert value["weight_decay"] == pytest.approx(value["decay"] / value["rate"])
    rows = list(csv.DictReader((tmp_path / "out/leaderboard.csv").read_text(encoding="utf-8").splitlines()))
    assert float(rows[0]["accuracy"]) == value["holdout"]
    run = json.loads((tmp_path / value["run"] / "evaluation.json").read_text())
    assert (run["top1"], run["images"]) == (value["top1"], 27)  # about a fifth of 120, each by its content
    from compound.training import open_run

    told = open_run(tmp_path / value["run"])
    assert told.data["images"] == {"train": 93, "holdout": 0, "test": 27}
    assert (told.recipe.rate, told.recipe.epochs, told.recipe.batch) == (value["rate"], 2, 32)  # two steps an epoch
    again = cli.json("search", "transfer", *words[:2], "--weights", pretrained, *small)
    assert again == value
    asked = TransferSearch(rates=2, decays=2, steps=4, batch=32)
    data = DataSpec("photos", 1, holdout=0.2)
    found = compound.search_transfer("my.yaml", data, pretrained, out="out", asked=asked, sharing=Sharing(workers=1))
    assert found.to_json() == value
    cost = cli.json("search", "transfer", *words[:2], "--weights", pretrained, *small, "--search-cost")
    assert (cost["trials"], cost["epochs"]) == (4, 2)
