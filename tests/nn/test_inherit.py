"""Weights carried over: wider and deeper keep the function, narrower and foreign kinds do what they say."""

from dataclasses import replace

import pytest
import torch

from compound import ZOO, ConvBlock, FusedMBConv, Head, Inputs, MBConv, Network, Scaling, Stage, Style, scale
from compound.nn import build, inherit
from compound.nn.inherit import InheritError

SMALL = Network(
    name="small",
    stem=Stage(ConvBlock(3), 1, 8, 2),
    stages=(Stage(FusedMBConv(3, 2), 2, 16, 2), Stage(MBConv(5, 3), 2, 24, 2), Stage(MBConv(3, 6), 1, 24)),
    head=Head(48),
    resolution=32,
    inputs=Inputs(margin=0),
    classes=4,
)


def trained(network, seed=0):
    """A model in which no weight and no statistic is what it started as."""
    model = build(network, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
            module.weight.data.uniform_(0.3, 0.8, generator=generator)
            module.bias.data.normal_(0, 0.1, generator=generator)
    return model.eval()


def difference(model, other, seed=0):
    side = other.network.resolution
    x = torch.randn(2, model.channels, side, side, generator=torch.Generator().manual_seed(seed))
    with torch.inference_mode():
        expected, found = model(x), other(x)
    assert expected.std() > 1e-3
    return ((expected - found).abs().max() / expected.abs().max()).item()


CLASSIC = Network(  # a linear layer that reads several positions of each channel
    name="classic",
    stem=Stage(ConvBlock(3, pool=True), 1, 8, 2),
    stages=(Stage(ConvBlock(3), 2, 16, 2),),
    head=Head(hidden=(24,), pool=2),
    style=Style(activation="relu", norm="none"),
    resolution=32,
)


# Separable, gated, residual, inception and classic networks.
@pytest.mark.long
@pytest.mark.parametrize(
    "network",
    [ZOO["mobilenet-v1"], ZOO["mobilenetv3-small"], ZOO["resnet-18"], ZOO["squeezenet-1.1"], CLASSIC],
    ids=lambda network: network.name,
)
def test_a_wider_network_computes_the_same(network):
    network = network.with_(resolution=min(network.resolution, 64), classes=4)
    model = trained(network)
    wider = scale(network, Scaling(width=1.4))
    assert difference(model, inherit(model, wider)) < 1e-4


@pytest.mark.parametrize("factors", [(1.0, 2.0), (2.0, 1.0), (1.5, 1.3), (3.0, 1.7)])
@pytest.mark.parametrize("seed", [0, 1])
def test_wider_and_deeper_compute_the_same_at_once(factors, seed):
    model = trained(SMALL, seed=seed)
    larger = scale(SMALL, Scaling(*factors, 1.25))
    assert difference(model, inherit(model, larger, seed=seed)) < 1e-4


@pytest.mark.parametrize("name", ["resnet-18", "efficientnet-lite0"])
def test_deeper_residual_networks_begin_as_the_identity(name):
    network = ZOO[name].with_(resolution=96, classes=4)
    model = trained(network)
    assert difference(model, inherit(model, scale(network, Scaling(depth=1.5)))) == 0


def test_repeats_of_a_channel_learn_differently():
    model = trained(SMALL)
    wider = inherit(model, scale(SMALL, Scaling(width=2))).train()
    wider(torch.randn(4, 3, 32, 32)).square().sum().backward()
    gradient = wider.stage2.block1.project.conv.weight.grad
    assert not torch.allclose(gradient[:24], gradient[24:], rtol=0.05)


def test_a_narrower_network_keeps_the_largest_filters():
    network = replace(SMALL, stages=(replace(SMALL.stages[0], layers=1),))
    model = trained(network)
    with torch.no_grad():
        model.stem.conv.weight[[1, 4]] *= 100
    narrow = inherit(model, replace(network, stem=replace(network.stem, channels=2)))
    assert torch.equal(narrow.stem.conv.weight, model.stem.conv.weight[[1, 4]])


def test_other_classes_get_a_fresh_classifier():
    model = trained(SMALL)
    larger = inherit(model, scale(SMALL, Scaling(width=1.5)).with_(classes=7), seed=3)
    assert larger.classifier.linear.weight.shape == (7, 72)
    assert torch.equal(larger.classifier.linear.weight, build(larger.network, seed=3).classifier.linear.weight)
    assert torch.equal(larger.stem.conv.weight[:8], model.stem.conv.weight)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (ZOO["resnet-18"], "resnet-18 has 4 stages and small 3; scale the same net"),
        (replace(SMALL, stages=(*SMALL.stages[:2], Stage(FusedMBConv(3, 6), 1, 24))),
         "stage 3 is mbconv of stride 1 in small and fused-mbconv of stride 1 in small; scale the same net"),
        (replace(SMALL, stages=(Stage(FusedMBConv(5, 2), 2, 16, 2), *SMALL.stages[1:])),
         r"stage 1 block 1: kernels of \(3, 3\) and \(5, 5\)"),
    ],
)  # fmt: skip
def test_another_kind_of_network_is_refused(network, message):
    with pytest.raises(InheritError, match=message):
        inherit(trained(SMALL), network)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "factors", "message"),
    [
        ("nasnet-a-mobile", (1, 1), "cells read two maps"),
        ("resnext-50-32x4d", (1, 1.5), "a convolution in 32 groups cannot change its width"),
        ("densenet-121", (1.5, 1), "stage 1 block 7 adds channels to its input"),
        ("shufflenet-v2-x1.0", (1, 1), "split or shuffled"),
    ],
)
def test_what_is_not_carried_over_is_said(name, factors, message):
    network = ZOO[name].with_(resolution=64)
    with pytest.raises(InheritError, match=message):
        inherit(build(network), scale(network, Scaling(*factors)))
