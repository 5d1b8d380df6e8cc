"""An optimised network says what the network says, on any input, and leaves it as it was."""

import copy

import pytest
import torch
from torch import nn

import compound
from compound.nn import ConvNet, fold
from compound.runtimes.packed import MatrixGate, PackedConv, PackedResidual

NETWORKS = [
    "efficientnet-b0",
    "tf_efficientnet-b0",
    "efficientnet-lite0",
    "efficientnet-mini",
    "mobilenetv3-large",
    "resnet-50",
    "regnety-400mf",
    "densenet-121",
    "vgg-16",
    "inception-v3",
    "shufflenetv2-x1.0",
    "squeezenet-1.0",
]


def images(model: ConvNet, count: int = 2, more: int = 0) -> torch.Tensor:
    side = model.network.resolution + more
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(3))


def apart(a: torch.Tensor, b: torch.Tensor) -> float:
    """The largest difference, as a share of the largest logit."""
    return ((a - b).abs().max() / b.abs().max()).item()


@pytest.mark.long
@pytest.mark.parametrize("name", NETWORKS)
def test_same_logits(name: str, small) -> None:
    model = small(name)
    x = images(model)
    before, given = copy.deepcopy(model.state_dict()), x.clone()
    with torch.inference_mode():
        expected = model(x)
    fast = compound.optimize(model, x)
    assert apart(fast(x), expected) < 1e-5
    assert apart(fast(x), expected) < 1e-5, "the second call reads what the first one overwrote"
    assert torch.equal(x, given)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


@pytest.mark.long
def test_cells_that_read_two_maps(small) -> None:
    model = compound.nn.build(compound.ZOO["nasnet-a-mobile"].with_(resolution=64, classes=5), seed=0).eval()
    x = images(model, 1)
    with torch.inference_mode():
        expected = model(x)
    assert apart(compound.optimize(model, x)(x), expected) < 1e-5


def test_other_batches_and_sizes_are_right_too(small) -> None:
    model = small("tf_efficientnet-b0")
    fast = compound.optimize(model, images(model, 1))
    for x in (images(model, 3), images(model, 2, more=17)):
        with torch.inference_mode():
            assert apart(fast(x), model(x)) < 1e-5


def test_bf16_is_close(small) -> None:
    model = small("resnet-50")
    x = images(model)
    with torch.inference_mode():
        assert 1e-4 < apart(compound.optimize(model, x, precision="bf16")(x), model(x)) < 0.05


def test_what_is_fused(small) -> None:
    """Of EfficientNet nothing remains but packed convolutions, gates and sums inside them."""
    model = small("efficientnet-b0")
    blocks = sum(stage.layers for stage in model.network.stages)
    kinds = [type(module) for module in compound.optimize(model, torch.randn(1, 3, 96, 96)).modules()]
    assert not {nn.Conv2d, nn.BatchNorm2d, nn.Dropout} & set(kinds)
    assert kinds.count(MatrixGate) == blocks
    assert kinds.count(nn.SiLU) == blocks, "the only activations by themselves are those of the gates' vectors"
    assert PackedResidual in kinds
    assert PackedConv in kinds


def test_training_mode_and_gradients_stay(small) -> None:
    model = small("efficientnet-b0").train()
    fast = compound.optimize(model, torch.randn(1, 3, 96, 96))
    assert model.training
    assert all(p.requires_grad for p in model.parameters())
    assert not fast(torch.randn(1, 3, 96, 96)).requires_grad


def test_fold_takes_norms_in(small) -> None:
    model = small("resnet-50")
    folded = fold(model)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in folded.modules())
    assert any(isinstance(m, nn.BatchNorm2d) for m in fold(small("densenet-121")).modules()), (
        "norm, act, conv cannot fold"
    )
    with torch.inference_mode():
        assert apart(folded(images(model)), model(images(model))) < 1e-5


def test_unknown_precision_is_a_sentence(small) -> None:
    with pytest.raises(compound.UsageError, match=r"precision 'int4' is unknown; use fp32 or bf16"):
        compound.optimize(small("efficientnet-b0"), torch.randn(1, 3, 96, 96), precision="int4")
