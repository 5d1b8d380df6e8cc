"""Other resolutions, and norms that are estimated anew."""

import pytest
import torch
from torch import nn

from compound import ZOO, NetworkError, UsageError
from compound.data import Preprocessing
from compound.evaluation import evaluate, recalibrate, sweep
from compound.evaluation.resolutions import at_resolution
from compound.execution import Execution
from compound.nn import build

CPU = Execution("cpu")

CLASSES = ("a", "b", "c")


def test_the_training_resolution_is_the_usual_evaluation(model, source):
    found = dict(sweep(model, source, CLASSES, (12, 16), CPU))
    usual = evaluate(model, source, CLASSES, CPU)
    assert torch.equal(found[12].probabilities, usual.probabilities)
    assert not torch.equal(found[16].probabilities, usual.probabilities)
    assert model.network.resolution == 12


def test_recalibrated_statistics_are_those_of_the_images(model, source):
    model.train()
    recalibrate(model, source, CPU)  # 60 images: one batch, so the average is its own statistics
    preprocessing = Preprocessing.of(model.network)
    with torch.no_grad():
        maps = model.stem.conv(preprocessing.normalise(preprocessing.resize(source.images)))
    norm = model.stem.norm
    assert torch.allclose(norm.running_mean, maps.mean((0, 2, 3)), atol=1e-5)
    assert torch.allclose(norm.running_var, maps.var((0, 2, 3)), rtol=1e-4)
    assert norm.momentum == pytest.approx(0.01)
    assert all(module.training for module in model.modules())


def test_recalibration_changes_a_copy(model, source):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    plain = dict(sweep(model, source, CLASSES, (16,), CPU))
    found = dict(sweep(model, source, CLASSES, (16,), CPU, training=source))
    assert not torch.equal(found[16].probabilities, plain[16].probabilities)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.long
def test_what_has_one_resolution_or_no_norm(source):
    net = ZOO["alexnet"].with_(resolution=64)
    model = build(net.with_(classes=3, channels=1), seed=0)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    with pytest.raises(UsageError, match="no batch norm to recalibrate"):
        recalibrate(model, source, CPU)
    with pytest.raises(NetworkError):
        at_resolution(model, 3)
