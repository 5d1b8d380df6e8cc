"""What of a network learns: parts, norms, rates by depth, and the order in which parts join in."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from compound import ZOO, UsageError
from compound.execution import Execution
from compound.nn import build, save_weights
from compound.training import Transfer, start_run, train
from compound.training.better import keep_better, keep_probe
from compound.training.optim import make_optimizer
from compound.training.start import Start, first_model


@pytest.fixture
def weights(tmp_path, network):
    return save_weights(build(network, seed=9), tmp_path / "source.safetensors", tuple("abc"))


def changed(tmp_path, network, data, recipe, weights, epochs=2, **fields):
    """The names of the parameters and buffers that two epochs of training changed, by part."""
    recipe = replace(recipe, epochs=epochs, ema=0.0, mixup=0.0, transfer=Transfer(**fields))
    run = start_run(network, data, recipe, tmp_path / "run")
    before = first_model(run.network, data, run.recipe.transfer, Start(weights)).state_dict()
    run, _ = train(run, data, start=Start(weights), quiet=True)
    after = first_model(network, data, recipe.transfer, Start(run.weights), seed=run.seed).state_dict()
    return {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}


def test_a_head_alone_learns_and_everything_else_stays(tmp_path, network, data, recipe, weights):
    names = changed(tmp_path, network, data, recipe, weights, train="head")
    assert names == {"classifier.linear.weight", "classifier.linear.bias"}


def test_the_last_stage_learns_with_the_statistics_of_the_source(tmp_path, network, data, recipe, weights):
    names = changed(tmp_path, network, data, recipe, weights, train="last:1")
    assert {name.partition(".")[0] for name in names} == {"stage2", "features", "classifier"}
    assert any("norm.weight" in name for name in names)
    assert not any("running" in name for name in names)


@pytest.mark.long
@pytest.mark.parametrize(
    ("norm", "moves", "scales"), [("frozen", False, False), ("eval", False, True), ("train", True, True)]
)
def test_batch_norm_does_as_it_is_told(tmp_path, network, data, recipe, weights, norm, moves, scales):
    names = changed(tmp_path, network, data, recipe, weights, norm=norm)
    assert any("running_mean" in name for name in names) is moves
    assert any("norm.weight" in name for name in names) is scales
    assert "stem.conv.weight" in names


def test_rates_fall_with_depth(network, recipe):
    model = build(network)
    recipe = replace(recipe, transfer=Transfer(depth_decay=0.5))
    optimizer = make_optimizer(model, recipe)
    factors = {id(p): group["factor"] for group in optimizer.param_groups for p in group["params"]}
    assert len(factors) == len(list(model.parameters()))
    for depth, part in enumerate(["classifier", "features", "stage2", "stage1", "stem"]):
        assert {factors[id(p)] for p in model.get_submodule(part).parameters()} == {0.5**depth}


def test_parts_join_in_from_the_head_down(network):
    model, transfer = build(network), Transfer(unfreeze=2)
    learning = []
    for epoch in range(9):
        transfer.apply(model, epoch)
        learning.append([n for n, part in model.named_children() if all(p.requires_grad for p in part.parameters())])
        assert learning[-1] == [name for name, part in model.named_children() if part.training]
    assert [len(names) for names in learning] == [1, 1, 2, 2, 3, 3, 4, 4, 5]
    assert learning[3] == ["features", "classifier"]


@pytest.mark.long
def test_gradual_unfreezing_trains_all_in_the_end(tmp_path, network, data, recipe, weights):
    names = changed(tmp_path, network, data, recipe, weights, epochs=3, unfreeze=0.5)
    assert {name.partition(".")[0] for name in names} == {"stem", "stage1", "stage2", "features", "classifier"}


@pytest.mark.long
def test_a_probe_first_starts_from_the_best_linear_classifier(tmp_path, network, data, recipe, weights):
    from compound.evaluation import evaluate

    plain = start_run(network, data, recipe, tmp_path / "plain")
    probed = start_run(network, data, replace(recipe, transfer=Transfer(probe_first=True)), tmp_path / "run")
    accuracy = [
        evaluate(first_model(run.network, data, run.recipe.transfer, Start(weights)), data.test, data.classes).top(1)
        for run in (plain, probed)
    ]
    assert accuracy[1] > accuracy[0] + 0.2


@pytest.mark.slow
def test_the_better_of_probe_and_fine_tuned_is_kept(tmp_path, network, data, recipe, weights, capsys):
    recipe = replace(recipe, transfer=Transfer(probe_first=True), epochs=1)
    run, start = start_run(network, data, recipe, tmp_path / "run"), Start(weights)
    run.checkpoints.mkdir(parents=True)
    good, bad = first_model(network, data, recipe.transfer, start), build(network, seed=3)
    for begun, ended, kept in ((good, bad, "probe"), (bad, good, "fine-tuned")):
        model = build(network)
        model.load_state_dict(ended.state_dict())
        keep_probe(begun, run, data, start)
        told = keep_better(model, run, data, Execution("cpu"))
        assert told["kept"] == kept
        assert all(torch.equal(tensor, good.state_dict()[name]) for name, tensor in model.state_dict().items())
    spoilt = start_run(network, data, replace(recipe, rate=0.5), tmp_path / "spoilt")
    spoilt, _ = train(spoilt, data, start=start, execution=Execution("cpu"), quiet=True)
    assert all(torch.equal(tensor, good.state_dict()[name]) for name, tensor in load_file(spoilt.weights).items())
    told = json.loads(spoilt.evaluation.read_text())["fine_tuning"]
    assert told["kept"] == "probe"
    assert told["images"] == 24
    assert told["probe"] > told["fine_tuned"]
    assert "The probe is kept: of 24 held-out images" in capsys.readouterr().err
    keep_probe(good, replace(run, path=tmp_path / "other"), data, Start())
    assert not (tmp_path / "other").exists()


def test_a_classifier_of_maps_cannot_start_from_a_probe_and_says_so(tmp_path, network, data, capsys):
    network = network.with_(head=ZOO["squeezenet-1.1"].head)
    source = save_weights(build(network, seed=9), tmp_path / "source.safetensors", tuple("abc"))
    first_model(network, data, Transfer(probe_first=True), Start(source))
    assert "tiny does not end in a linear layer, so its classifier starts fresh" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"train": "tail"}, "train 'tail' is unknown; use head, all, or last:K"),
        ({"train": "last:0"}, "use head, all, or last:K"),
        ({"depth_decay": 0.0}, r"depth_decay 0.0 is not in \(0, 1\]"),
        ({"unfreeze": -1.0}, "unfreeze -1.0 is negative"),
    ],
)
def test_what_cannot_be_meant_is_refused(fields, message):
    with pytest.raises(UsageError, match=message):
        Transfer(**fields)


def test_more_stages_than_there_are_is_refused(network):
    with pytest.raises(UsageError, match="tiny has 2 stages; use all, or fewer stages"):
        Transfer(train="last:3").apply(build(network))
