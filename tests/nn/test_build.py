"""Initialisation, regularisation, padding and modes of built networks, against closed forms and TensorFlow's rule."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.ops import StochasticDepth

from compound import ZOO, Block, ConvBlock, Network, Stage, Style
from compound.nn import build
from compound.nn.build import calm
from compound.nn.modules import SameConv2d
from compound.ops import Chain, Concat, Conv, LayerNorm, Pool


@pytest.fixture(scope="module")
def b0():
    return build(ZOO["efficientnet-b0"], seed=0)


def test_initialisation_is_the_official_one(b0):
    for name, module in b0.named_modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 1500:
            outputs = 1 if module.groups > 1 else module.out_channels
            expected = math.sqrt(2 / (math.prod(module.kernel_size) * outputs))
            error = 4 / math.sqrt(2 * module.weight.numel())  # four standard errors
            assert module.weight.std().item() == pytest.approx(expected, rel=error), name
    linear = b0.classifier.linear
    assert linear.weight.abs().max().item() == pytest.approx(1 / math.sqrt(1000), rel=1e-3)
    assert linear.weight.std().item() == pytest.approx(1 / math.sqrt(3000), rel=1e-2)
    assert not linear.bias.any()


@pytest.mark.parametrize(("name", "layer"), [("squeezenet-1.1", "conv"), ("resnet-18", "linear")])
def test_logits_of_few_classes_can_begin_small(name, layer):
    model = build(ZOO[name].with_(classes=10), seed=0)
    weight = model.classifier.get_submodule(layer).weight
    grows = (weight[0].numel() * weight.var()).sqrt().item()
    # √(512 / 30) of a linear layer, √(512 · 2 / 10) of a convolution.
    assert grows == pytest.approx({"conv": 10.12, "linear": 4.13}[layer], rel=0.05)
    body = model.stem.conv.weight.clone()
    calm(model)
    assert (weight[0].numel() * weight.var()).sqrt().item() == pytest.approx(1, rel=1e-3)
    assert torch.equal(model.stem.conv.weight, body)


def test_a_small_classifier_stays_as_it_is(b0):
    before = b0.classifier.linear.weight.clone()  # 1280 features, 1000 classes
    calm(b0)
    assert torch.equal(b0.classifier.linear.weight, before)


def test_survival_falls_linearly_over_the_blocks(b0):
    # Section 5.2: survival 0.8; the official code drops block i of 16 with 0.2 · i / 16.
    drops = {name: module.p for name, module in b0.named_modules() if isinstance(module, StochasticDepth)}
    assert drops == {
        f"stage{stage}.block{block}.drop": pytest.approx(0.2 * index / 16)
        for stage, block, index in ((2, 2, 2), (3, 2, 4), (4, 2, 6), (4, 3, 7), (5, 2, 9), (5, 3, 10),
                                    (6, 2, 12), (6, 3, 13), (6, 4, 14))
    }  # fmt: skip
    assert b0.classifier.dropout.p == 0.2


def test_batch_norm_is_the_papers(b0):
    norms = [module for module in b0.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == 49
    assert {(norm.momentum, norm.eps) for norm in norms} == {(0.01, 1e-3)}


@pytest.mark.long
def test_the_seed_decides_the_weights_and_the_global_generator_is_left_alone():
    network = ZOO["resnet-18"].with_(resolution=32)
    state = torch.get_rng_state()
    one, same, other = build(network, seed=1), build(network, seed=1), build(network, seed=2)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one.stem.conv.weight, same.stem.conv.weight)
    assert not torch.equal(one.stem.conv.weight, other.stem.conv.weight)


@pytest.mark.parametrize("size", [7, 8, 9, 15, 224])
@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
def test_same_padding_is_tensorflows(size, kernel, stride):
    # tf.nn.conv2d: ceil(size / stride) outputs; of the zeros needed the smaller half stands before.
    conv = SameConv2d(1, 1, kernel, stride, bias=False)
    x = torch.randn(1, 1, size, size)
    zeros = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    before, after = zeros // 2, zeros - zeros // 2
    expected = F.conv2d(F.pad(x, (before, after, before, after)), conv.weight, stride=stride)
    assert conv(x).shape[-1] == math.ceil(size / stride)
    assert torch.allclose(conv(x), expected, atol=1e-6)


class Odd(Block):
    """Two branches, one pooled as Inception does: operators that no zoo network of this test uses."""

    def operators(self, inp, out, stride, style):
        pool = Chain.of(pool=Pool("average", 3, stride, "same", ceil=True), conv=Conv(out // 2))
        return Concat((pool, style.conv(out - out // 2, 3, stride)))


def test_a_block_of_ones_own_is_built():
    network = Network(
        "own", Stage(ConvBlock(), 1, 8), (Stage(Odd(), 2, 12, 2),), resolution=9, style=Style(padding="same")
    )
    model = build(network.with_(classes=2)).eval()
    assert model(torch.randn(2, 3, 9, 9)).shape == (2, 2)
    assert model.forward_features(torch.randn(2, 3, 9, 9)).shape == (2, 12, 5, 5)


def test_average_pooling_leaves_padding_out_of_the_mean():
    from compound.nn.modules import make

    module = make(Pool("average", 3, 1), (1, 4, 4))
    assert torch.allclose(module(torch.ones(1, 1, 4, 4)), torch.ones(1, 1, 4, 4))
    same = make(Pool("average", 3, 2, "same"), (1, 4, 4))  # TensorFlow pads behind only, and does not count it
    assert torch.allclose(same(torch.ones(1, 1, 4, 4)), torch.ones(1, 1, 2, 2))


def test_layer_norm_is_over_the_channels_of_every_position():
    from compound.nn.modules import make

    x = torch.randn(2, 6, 3, 3)
    expected = (x - x.mean(1, keepdim=True)) / (x.var(1, unbiased=False, keepdim=True) + 1e-6).sqrt()
    assert torch.allclose(make(LayerNorm(1e-6), (6, 3, 3))(x), expected, atol=1e-5)
