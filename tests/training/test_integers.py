"""Quantisation-aware training: steps see 8 bits, gradients pass, and what is learned is an ordinary network."""

from dataclasses import replace

import pytest
import torch
from tiny import TINY

from compound import RECIPES, parse_network
from compound.errors import UsageError
from compound.nn import build
from compound.training.integers import Rounded, rounded, rounded_rows
from compound.training.module import Training

NETWORK = parse_network(TINY).with_(classes=3, channels=1)


def test_values_are_rounded_to_256_steps_that_have_zero_and_gradients_pass():
    x = torch.linspace(-0.3, 2.0, 5001, requires_grad=True)
    y = rounded(x)
    assert len(y.unique()) == 256
    assert (y == 0).any()
    assert (y - x).abs().max() <= 2.3 / 255 / 2 * 1.01 + 2.3 / 255 / 2  # at the ends, as 0 is one of the steps
    y.sum().backward()
    assert (x.grad == 1).float().mean() > 0.99
    weight = torch.randn(4, 3, 3, 3) * torch.tensor([1.0, 10.0, 0.1, 0.0])[:, None, None, None]
    kept = rounded_rows(weight)
    for row, was in zip(kept[:3], weight[:3], strict=True):
        assert len(row.unique()) <= 27
        assert (row - was).abs().max() <= was.abs().max() / 127 / 2 * 1.001
    assert not kept[3].any()


def test_a_step_sees_integers_and_learns_floats():
    model = build(NETWORK, seed=0)
    state = set(model.state_dict())
    training = Training(model, replace(RECIPES["small"], integers=True, batch=16), 4, seed=0)
    images = torch.randint(0, 256, (8, 1, 14, 14), dtype=torch.uint8)
    training.train()
    training(images).square().sum().backward()
    assert all(
        parameter.grad is not None and parameter.grad.any() for parameter in model.parameters() if parameter.dim() > 1
    )
    assert set(training.model.state_dict()) == state
    assert not any(".rounded" in name for name in training.state_dict())
    model.eval()
    x = torch.randn(4, 1, 14, 14)
    difference = (Rounded(model)(x) - model(x)).abs().max() / model(x).abs().max()
    assert 1e-4 < difference < 0.2
    training.eval()
    assert torch.equal(training(images), model(training.preprocessing.normalise(images)))
    with pytest.raises(UsageError, match="integers train by steps that are not compiled"):
        replace(RECIPES["small"], integers=True, compile="always")
