"""Sizes of an elastic run, cut out by `compound export`."""

import json
from dataclasses import replace

import pytest
from tiny import TINY

import compound
from compound import RECIPES, Budget, DataSpec, cost, parse_network
from compound.errors import BudgetError, UsageError
from compound.nn import load_weights
from compound.training import open_run
from compound.training.elastic import sized
from compound.training.judging import data_of_run
from compound.verbs.sizes import Size, cut_size

WIDE = parse_network(TINY.replace("channels: 8}", "channels: 32}").replace("layers: 1", "layers: 2")).with_(
    classes=3, channels=1, resolution=16
)
RECIPE = replace(RECIPES["small"], epochs=2, batch=16, precision="fp32", elastic=-2.0)


@pytest.fixture(scope="module")
def run(tmp_path_factory, write_photos):
    folder = tmp_path_factory.mktemp("elastic")
    data = DataSpec(str(write_photos(folder / "photos", 60)), channels=1, holdout=0.2)
    compound.train(WIDE, data, RECIPE, folder / "run")
    return folder / "run"


@pytest.mark.long
def test_any_size_is_cut_out_as_an_ordinary_network(cli, run, tmp_path):
    code, said, _ = cli("export", run, "--phi", -2, "-o", tmp_path / "small", "--json")
    assert code == 0
    told = json.loads(said)["size"]
    model, described = load_weights(tmp_path / "small" / "model.safetensors")
    assert model.network == sized(WIDE, -2.0)
    assert told["macs"] == cost(model.network).macs
    assert told["images"] == len(data_of_run(open_run(run))[0].holdout)
    norm = model.stem.norm
    assert int(norm.num_batches_tracked) < 10  # statistics of its own
    assert len(described.classes) == 3
    judged = compound.evaluate(tmp_path / "small", open_run(run).spec).judged  # by no image that the run learned
    assert len(judged.source) == len(data_of_run(open_run(run))[0].test)
    budget = Budget(macs=0.7 * cost(WIDE).macs)
    found = cut_size(Size(run, budget), tmp_path / "middle")
    assert budget.admits(budget.cost(found.network))
    assert -2 <= found.phi < 0
    assert cut_size(Size(run, 0.0), tmp_path / "whole").network == WIDE


@pytest.mark.long
def test_what_cannot_be_cut_out_is_one_sentence(run, tmp_path):
    with pytest.raises(UsageError, match=r"has sizes from φ = -2 to 0, and -3 is none"):
        cut_size(Size(run, -3.0), tmp_path)
    with pytest.raises(BudgetError, match=r"the smallest size of .*run, φ = -2, is beyond the budget"):
        cut_size(Size(run, Budget(macs=0.2 * cost(WIDE).macs)), tmp_path)
    with pytest.raises(UsageError, match=r"elastic 1 is no φ below 0; use e.g. -2"):
        replace(RECIPE, elastic=1.0)
    data = open_run(run).spec
    compound.train(WIDE, data, replace(RECIPE, elastic=0.0, epochs=1), tmp_path / "one")
    with pytest.raises(UsageError, match=r"was trained at one size; train with --elastic φ=-2..0, or make it smaller"):
        cut_size(Size(tmp_path / "one", -1.0), tmp_path)
