"""Answers that are not numbers are an error in every verb, and norms that saw few steps are no source of them."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from compound import ZOO
from compound.data import DamageLog, open_data
from compound.deploy import predict
from compound.deploy.export import probe
from compound.errors import CompoundError
from compound.evaluation import evaluate, recalibrate, saw_little
from compound.explanation.look import MapRequest, look
from compound.nn import build, load_weights, save_weights
from compound.training import RECIPES, start_run, train
from compound.training.probe import features
from tests.data.photos import write_pictures


@pytest.fixture
def photos(tmp_path):
    return write_pictures(tmp_path / "photos", a=20, b=20)


@pytest.fixture
def broken(network, photos, tmp_path):
    data = open_data(str(photos), channels=1)
    model = build(network.for_data(data))
    with torch.no_grad():
        model.classifier.linear.weight[0, 0] = float("nan")
    return load_weights(save_weights(model, tmp_path / "model.safetensors", data.classes)), data


def test_no_number_is_a_sentence_in_every_verb(broken):
    (model, weights), data = broken
    said = (
        r"tiny answers \d+ of \d+ images, such as .*\.png, with NaN, which is not a number; its weights have diverged"
    )
    with pytest.raises(CompoundError, match=said):
        evaluate(model, data.test, data.classes)
    with pytest.raises(CompoundError, match=said):
        predict(model, weights, data.test.paths()[:3])
    with pytest.raises(CompoundError, match=said):
        list(look(model, data.test, DamageLog(), MapRequest(), "cpu"))
    with pytest.raises(CompoundError, match=said):
        probe(model, data.test, labelled=True)
    with torch.no_grad():
        model.stem[0].weight.fill_(float("nan"))
    with pytest.raises(CompoundError, match=said):
        features(model, data.test, len(data.classes))


@pytest.mark.slow
def test_one_step_of_a_deep_network_gives_numbers(photos, tmp_path):
    """B0 at 32 px: after a step its norms were 99 parts of nothing and one of a batch, and its answers no numbers."""
    data = open_data(str(photos))
    network = ZOO["efficientnet-b0"].with_(resolution=32)
    recipe = replace(RECIPES["small"], epochs=1, batch=32, precision="fp32", ema=0.0)
    run = start_run(network, data, recipe, tmp_path / "run")
    run, result = train(run, data, quiet=True)
    assert torch.isfinite(result.probabilities).all()
    assert result.loss < 20
    model, _ = load_weights(run.path)
    assert evaluate(model, data.test, data.classes).loss == pytest.approx(result.loss, rel=1e-4)


@pytest.mark.parametrize(
    ("steps", "fast", "little"),
    [(1, False, True), (68, False, True), (69, False, False), (69, True, True), (994, True, True), (996, True, False)],
)
def test_norms_saw_little_while_enough_is_left_of_what_they_began_with(network, steps, fast, little):
    model = build(network)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.num_batches_tracked.fill_(steps)
            assert module.momentum == pytest.approx(0.01)
    assert saw_little(model, fast) is little


def test_statistics_are_those_of_the_training_images(network, photos):
    data = open_data(str(photos), channels=1)
    model = build(network.for_data(data))
    before = model.stem.norm.running_mean.clone()
    recalibrate(model, data.train)
    first = model.stem.norm.running_mean.clone()
    recalibrate(model, data.train)
    assert torch.equal(first, model.stem.norm.running_mean)
    assert not torch.allclose(first, before)
