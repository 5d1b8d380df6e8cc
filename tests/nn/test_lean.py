"""Lean training against plain autograd: the same numbers in double precision, less kept, nothing renamed."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from strategies import networks
from torch import nn

from compound import ZOO
from compound.nn import build, evaluating, fold, lean
from compound.nn.depthwise import Geometry, from_quarters
from compound.nn.lean import LeanChain, plain
from compound.nn.sources import POINTWISE

DOUBLE = torch.float64


def step(network, use, seed=0):
    """Logits, gradients of images and parameters, and buffers after one training step in double precision."""
    model = build(network.with_(classes=7), seed=seed).to(DOUBLE).train()
    if use:
        lean(model)
    torch.manual_seed(seed)
    side = network.resolution
    images = torch.randn(3, 3, side, side, dtype=DOUBLE, requires_grad=True)
    logits = model(images.to(memory_format=torch.channels_last))
    logits.square().sum().backward()
    return [logits.detach(), images.grad, *(p.grad for p in model.parameters()), *model.buffers()]


def assert_same(network):
    expected, found = step(network, False), step(network, True)
    for a, b in zip(expected, found, strict=True):
        assert torch.allclose(a.to(DOUBLE), b.to(DOUBLE), rtol=1e-7, atol=1e-8 * max(float(a.abs().max()), 1e-3))


@pytest.mark.long
@pytest.mark.parametrize("name", ["efficientnet-b0", "mobilenet-v3-large", "resnet-18", "densenet-121"])
def test_forward_and_backward_are_those_of_plain_autograd(name):
    """Stochastic depth draws the same numbers: survival is the network's own."""
    assert_same(ZOO[name].with_(resolution=40, dropout=0.2))


@pytest.mark.long
def test_uneven_padding_of_tensorflow():
    network = ZOO["efficientnet-b0"]
    assert_same(network.with_(resolution=33, style=replace(network.style, padding="same")))


@pytest.mark.long
@settings(max_examples=8, deadline=None)
@given(networks())
def test_random_networks(network):
    assert_same(network)


@pytest.mark.parametrize("act", [*POINTWISE, nn.GELU])
def test_every_activation(act):
    """Also one that is not computed again."""
    torch.manual_seed(0)
    chains = []
    for use in (False, True):
        torch.manual_seed(1)
        chain = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), act(), nn.Conv2d(8, 4, 3, padding=1, bias=True))
        if use:
            lean(wrapped := nn.Sequential(chain))
            chain = wrapped[0]
        chains.append(chain.to(DOUBLE))
    images = 4 * torch.randn(5, 3, 9, 9, dtype=DOUBLE)  # beyond where the functions saturate
    for chain in chains:
        chain(images).pow(3).sum().backward()
    assert isinstance(chains[1], LeanChain)
    for expected, found in zip(*(chain.parameters() for chain in chains), strict=True):
        assert torch.allclose(expected.grad, found.grad, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("size", "stride"), [((12, 12), 1), ((6, 7), 1), ((3, 3), 1), ((13, 8), 2), ((24, 24), 2)])
def test_weights_gradient_in_quarters(size, stride):
    torch.manual_seed(0)
    x, weight = torch.randn(4, 6, *size, dtype=DOUBLE), torch.randn(6, 1, 5, 5, dtype=DOUBLE, requires_grad=True)
    out = F.conv2d(x, weight, None, stride, 2, 1, 6)
    gradient = torch.randn_like(out)
    (expected,) = torch.autograd.grad(out, weight, gradient)
    found = from_quarters(gradient, x, weight.detach(), Geometry((stride, stride), (2, 2), (1, 1), 6))
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.long
def test_single_precision_takes_the_quarters():
    """The path that is taken on a processor: against double precision, as near as plain autograd is."""
    network = ZOO["efficientnet-b0"].with_(resolution=64, survival=1.0, dropout=0.0)
    images = torch.randn(4, 3, 64, 64)
    gradients = {}
    for name, dtype in (("exact", DOUBLE), ("plain", torch.float32), ("lean", torch.float32)):
        model = build(network.with_(classes=7), seed=0).to(dtype).train()
        if name == "lean":
            lean(model)
        model(images.to(dtype)).square().mean().backward()
        gradients[name] = model.get_submodule("stage5.block2.body.depthwise.conv").weight.grad.to(DOUBLE)
    errors = {name: float((gradients[name] - gradients["exact"]).norm()) for name in ("plain", "lean")}
    assert errors["lean"] < 3 * errors["plain"]
    assert errors["lean"] < 1e-3 * float(gradients["exact"].norm())


@pytest.mark.long
def test_autocast_to_bf16():
    network = ZOO["efficientnet-b0"].with_(resolution=64, survival=1.0, dropout=0.0)
    images, gradients = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0)), []
    for use in (False, True):
        model = build(network.with_(classes=7), seed=0).train()
        if use:
            lean(model)
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(images).float().square().mean()
        loss.backward()
        gradients.append(model.features.conv.weight.grad)
    assert F.cosine_similarity(*(g.flatten() for g in gradients), dim=0) > 0.99


@pytest.mark.long
def test_nothing_else_changes():
    """Names, evaluation, folding; norms that are frozen keep their statistics."""
    model = build(ZOO["efficientnet-b0"].with_(resolution=64, classes=7), seed=0)
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode(), evaluating(model):
        before, folded, names = model(images), fold(model)(images), list(model.state_dict())
    lean(model)
    with torch.inference_mode(), evaluating(model):
        assert torch.equal(model(images), before)
        assert torch.equal(fold(model)(images), folded)
    assert list(model.state_dict()) == names
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    statistics = [buffer.clone() for buffer in model.buffers()]
    model(images).sum().backward()
    assert all(torch.equal(a, b) for a, b in zip(model.buffers(), statistics, strict=True))
    plain(model)
    assert not any(isinstance(module, LeanChain) for module in model.modules())
