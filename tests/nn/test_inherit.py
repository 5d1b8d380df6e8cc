"""Weights carried over: wider and deeper keep the function, narrower and foreign kinds do what they say."""

import sys
from dataclasses import replace

import pytest
import torch

from compound import ZOO, ConvBlock, FusedMBConv, Head, Inputs, MBConv, Network, Scaling, Stage, Style, scale
from compound.blocks import (
    Bottleneck,
    Branch,
    Fire,
    GhostBottleneck,
    Grouped,
    HalvedBottleneck,
    Inception,
    InceptionResidual,
    MixedMBConv,
    PartialConv,
    Separable,
    SqueezeExcite,
)
from compound.nn import build, inherit
from compound.nn.inherit import InheritError
from compound.notes import heard_by

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


@pytest.mark.long
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


GROUPS = Network(
    name="groups",
    stem=Stage(ConvBlock(3), 1, 8, 2),
    stages=(
        Stage(Bottleneck(groups=2, se=0.25), 2, 32, 2),
        Stage(Grouped(group_width=16, se=SqueezeExcite(0.25)), 2, 32, 2),
        Stage(HalvedBottleneck(groups=2, reduce=2), 1, 32),
    ),
    style=Style(activation="relu"),
    resolution=32,
)


@pytest.mark.parametrize("factors", [(1.0, 2.0), (1.0, 1.5), (2.0, 1.5)])
def test_convolutions_in_groups_get_wider(factors):
    model = trained(GROUPS)
    wider = scale(GROUPS, Scaling(*factors))
    assert difference(model, inherit(model, wider)) < 1e-4


def test_more_groups_of_one_width_repeat_the_old_ones():
    network = replace(GROUPS, stages=GROUPS.stages[1:2])
    model = trained(network)
    more = replace(network, stages=(replace(network.stages[0], channels=48),))
    assert difference(model, inherit(model, more)) < 1e-4


BRANCHES = Network(
    name="branches",
    stem=Stage(ConvBlock(3), 1, 16, 2),
    stages=(
        Stage(Inception((Branch(((1, 8),)), Branch(((1, 4), (3, 4))), Branch(((1, 4),), pool="max"), Branch(((1, 0),)))),
              1, 24, 1),
        Stage(Fire(12), 1, 24, 1),
    ),
    style=Style(activation="relu"),
    resolution=32,
)  # fmt: skip


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_new_blocks_without_shortcuts_begin_near_the_identity_and_the_change_is_said(norm, monkeypatch):
    model = trained(BRANCHES.with_(style=replace(BRANCHES.style, norm=norm)))
    x = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(5))
    said = []
    with heard_by(said.append):
        deeper = inherit(model, scale(model.network, Scaling(depth=2)), images=x)
    monkeypatch.setattr(sys.modules["compound.nn.inherit"], "begin_near_identity", lambda block, x: None)
    fresh = inherit(model, deeper.network, images=x)
    with torch.inference_mode():
        change, otherwise = (
            ((other(x) - model(x)).abs().max() / model(x).abs().max()).item() for other in (deeper, fresh)
        )
    assert 1e-3 < change < otherwise / 3
    assert said == [
        "warning: branches d2 begins near what branches computes, not as the same: on 8 images logits differ by up to "
        f"{change:.3g} of the largest one"
    ]


def test_chains_with_room_for_all_channels_are_the_identity_and_nothing_is_said():
    network = replace(BRANCHES, stages=(Stage(ConvBlock(3), 1, 24), Stage(Separable(3), 1, 24)))
    model, said = trained(network), []
    with heard_by(said.append):
        deeper = inherit(model, scale(network, Scaling(depth=2)))
    assert difference(model, deeper) < 1e-4
    assert said == []


def test_convnext_deeper_is_the_same():
    network = ZOO["convnextv2-atto"].with_(resolution=64, classes=4)
    model = trained(network)
    assert difference(model, inherit(model, scale(network, Scaling(depth=2)))) == 0


PIECES = Network(  # blocks whose bodies end side by side, are split, or take terms of a series
    name="pieces",
    stem=Stage(ConvBlock(3), 1, 8, 2),
    stages=(
        Stage(GhostBottleneck(3, 2, 0.25), 2, 16, 2),
        Stage(MixedMBConv((3, 5), 2, 0, 1, 2), 2, 16),
        Stage(PartialConv(), 2, 16),
        Stage(InceptionResidual((Branch(((1, 4),)),), 0.5, True, True, ((1, 3), (2, 1))), 2, 16),
    ),
    style=Style(activation="relu"),
    resolution=32,
)


def test_deeper_blocks_that_end_side_by_side_or_split_are_the_same():
    model, said = trained(PIECES), []
    with heard_by(said.append):
        deeper = inherit(model, scale(PIECES, Scaling(depth=2)))
    assert [len(list(getattr(deeper, f"stage{i}"))) for i in (1, 2, 3, 4)] == [4] * 4
    assert difference(model, deeper) < 1e-5
    assert said == []


@pytest.mark.parametrize(
    ("name", "factors", "message"),
    [
        ("nasnet-a-mobile", (1, 1), "cells read two maps"),
        ("regnetx-002", (1, 1.25), "stage 1 block 1: a convolution in 3 groups of 8 channels becomes one in 2 of 16"),
        ("densenet-121", (1.5, 1), "stage 1 block 7 adds channels to its input"),
        ("shufflenet-v2-x1.0", (1, 1.5), "stage 1 block 1: channels that are split or shuffled"),
        ("shufflenet-v2-x1.0", (2, 1), "stage 1 block 5: channels that are split or shuffled"),
        ("shufflenet-v1-g3", (1, 2), "stage 1 block 1: channels that are split or shuffled"),
        ("mixnet-s", (1, 1.5), "stage 2 block 1: channels that are split or shuffled"),
        ("ghostnet", (1, 1.5), "stage 1 block 1 adds to its input channels that were made side by side"),
        ("nfnet-f0", (1, 1.5), "stem: convolutions with standardised weights"),
        (
            scale(ZOO["resnext-50-32x4d"], Scaling(width=0.25)),
            (1, 2),
            "stage 1 block 1: a convolution of each channel by itself becomes one in 32 groups of 2",
        ),
    ],
)
def test_what_is_not_carried_over_is_said_before_anything_is_built(name, factors, message, monkeypatch):
    network = (name if isinstance(name, Network) else ZOO[name]).with_(resolution=64)
    stands_for_it = trained(SMALL)
    stands_for_it.network = network
    monkeypatch.setattr(sys.modules["compound.nn.inherit"], "build", None)
    with pytest.raises(InheritError, match=message):
        inherit(stands_for_it, scale(network, Scaling(*factors)))
