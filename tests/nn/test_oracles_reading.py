"""Live models of torchvision and timm read back: parameters, multiply-adds by torch's tracer, and logits."""

import importlib

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from compound import ZOO, cost
from compound.nn import ReadingError, from_module

pytestmark = pytest.mark.oracle

TORCHVISION = (
    "alexnet", "densenet121", "efficientnet_b0", "efficientnet_b3", "efficientnet_v2_s", "googlenet", "inception_v3",
    "mnasnet1_0", "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small", "regnet_x_400mf", "regnet_y_400mf",
    "resnet18", "resnet50", "resnext50_32x4d", "shufflenet_v2_x1_0", "squeezenet1_0", "vgg16", "vgg16_bn",
    "wide_resnet50_2",
)  # fmt: skip
TIMM = (
    "convnext_atto", "efficientnet_es", "efficientnetv2_rw_s", "fbnetc_100", "hardcorenas_a", "inception_resnet_v2",
    "inception_v4", "lcnet_050", "legacy_xception", "mnasnet_small", "mobilenetv1_100", "mobilenetv3_large_100",
    "mobilenetv4_conv_medium", "mobilenetv4_conv_small", "mobileone_s0", "mobileone_s1", "repvgg_a0", "resnet18d",
    "resnet26", "resnet26t", "resnet33ts", "resnet50d", "resnetrs50", "seresnet50", "seresnext26d_32x4d", "spnasnet_100",
    "tf_efficientnet_b0", "tf_efficientnet_lite0", "tinynet_a",
)  # fmt: skip


def read_back(model):
    torch.manual_seed(0)
    for module in model.modules():  # weights and statistics under which a misplaced norm shows
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.1)
    network, built = from_module(model.eval())
    counted = cost(network)
    assert (
        counted.training_params
        == sum(p.numel() for p in model.parameters())
        == sum(p.numel() for p in built.parameters())
    )
    x = torch.randn(1, 3, 224, 224)
    with FlopCounterMode(display=False) as tracer, torch.inference_mode():
        theirs = model(x)
    assert tracer.get_total_flops() == 2 * counted.training_macs
    with torch.inference_mode():
        ours = built(x)
    assert theirs.std() > 0
    assert ((ours - theirs).abs().max() / theirs.abs().max()).item() < 1e-4


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision(name):
    extra = {"aux_logits": False, "init_weights": False} if name in ("googlenet", "inception_v3") else {}
    read_back(getattr(importlib.import_module("torchvision.models"), name)(**extra))


@pytest.mark.parametrize("name", TIMM)
def test_timm(name):
    read_back(pytest.importorskip("timm").create_model(name))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("vit_tiny_patch16_224", "transpose in patch_embed"),
        ("edgenext_xx_small", "not in the alphabet: "),
        ("gcresnet33ts", "softmax in stages.0.0.attn"),
        ("skresnet18", "stack in layer1.0.conv1"),
        ("resnest14d", "softmax in layer1.0.conv2.rsoftmax"),
        ("tresnet_m", "leaky_relu_ of slope 0.001, where 0.01 is in body.layer1"),
        ("ghostnetv2_100", "upsample_nearest2d from 3×3 to 7×7 positions in blocks.8.0.ghost1"),
        ("efficientnet_cc_b0_4e", "matmul in blocks.4.0.conv_pw"),
        ("hgnetv2_b0", "add of a number or a weight in stem.stem1.lab"),
    ],
)
def test_what_timm_has_and_we_have_not(name, sentence):
    with pytest.raises(ReadingError, match=sentence):
        from_module(pytest.importorskip("timm").create_model(name))


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_convnext_is_read_as_the_zoo_writes_it(library):
    tiny = importlib.import_module("torchvision.models").convnext_tiny
    model = tiny() if library == "torchvision" else pytest.importorskip("timm").create_model("convnext_tiny")
    for name, parameter in model.named_parameters():
        if name.endswith(("layer_scale", "gamma")):
            torch.nn.init.normal_(parameter, std=0.5)
    network, built = from_module(model)
    ours = ZOO["convnext-tiny"]
    assert (network.stages, network.head, network.style.norm) == (ours.stages, ours.head, "layer")
    x = torch.randn(1, 3, 224, 224)
    with torch.inference_mode():
        assert torch.allclose(built(x), model.eval()(x), rtol=1e-4, atol=1e-5)


def test_auxiliary_classifiers_stay_behind():
    model = importlib.import_module("torchvision.models").googlenet(init_weights=False)
    network, built = from_module(model.eval())
    assert cost(network).params == sum(p.numel() for name, p in model.named_parameters() if not name.startswith("aux"))
    assert not [name for name, _ in built.named_parameters() if "aux" in name]
