"""torchvision (and timm where it has one) as oracle of AlexNet, VGG, GoogLeNet, DenseNet, SqueezeNet, ShuffleNet."""

import importlib
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from compound import ZOO, cost
from compound.nn import build, import_weights

pytestmark = pytest.mark.oracle

TORCHVISION = {
    "alexnet": "alexnet",
    **{f"vgg-{i}": f"vgg{i}" for i in (11, 13, 16, 19)},
    **{f"vgg-{i}-bn": f"vgg{i}_bn" for i in (11, 13, 16, 19)},
    "googlenet": "googlenet",
    **{f"densenet-{i}": f"densenet{i}" for i in (121, 161, 169, 201)},
    "squeezenet-1.0": "squeezenet1_0",
    "squeezenet-1.1": "squeezenet1_1",
    **{f"shufflenet-v2-x{i}": f"shufflenet_v2_x{i.replace('.', '_')}" for i in ("0.5", "1.0", "1.5", "2.0")},
}
TIMM = {f"densenet-{i}": f"densenet{i}" for i in (121, 161, 169, 201)} | {"vgg-16": "vgg16", "vgg-16-bn": "vgg16_bn"}
HUGE = ("vgg-11", "vgg-13", "vgg-19", "vgg-11-bn", "vgg-13-bn", "vgg-19-bn")  # as vgg-16, and half a gigabyte each


def peer(name):
    models = importlib.import_module("torchvision.models")
    if name == "densenet-264":  # torchvision's class, without a name there
        return models.DenseNet(32, (6, 12, 64, 48), 64)
    extra = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    return getattr(models, TORCHVISION[name])(**extra)


def randomise(model):
    """Weights and statistics under which a misplaced norm shows, and signals that neither fade nor explode."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.1)
        elif isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                nn.init.normal_(module.bias, std=0.1)
    return model.eval()


@pytest.mark.parametrize("name", [*TORCHVISION, "densenet-264"])
def test_params_and_macs(name):
    resolution = ZOO[name].resolution
    with torch.device("meta"):
        model = peer(name).eval()
        with FlopCounterMode(display=False) as tracer, torch.inference_mode():
            model(torch.empty(1, 3, resolution, resolution))
    counted = cost(ZOO[name])
    assert counted.params == sum(p.numel() for p in model.parameters())
    assert 2 * counted.macs == tracer.get_total_flops()
    assert counted.buffers == sum(b.numel() for b in model.buffers() if b.dim())


def same_logits(name, peer, resolution=101):  # an odd size: every pooling has to round as the peer's
    torch.manual_seed(0)
    randomise(peer)
    network = ZOO[name]
    eps = [module.eps for module in peer.modules() if isinstance(module, nn.BatchNorm2d)]
    if eps:
        network = network.with_(style=replace(network.style, norm_eps=eps[0]))
    model = build(network)
    import_weights(model, peer.state_dict())
    x = torch.randn(2, 3, resolution, resolution)
    with torch.inference_mode():
        ours, theirs = model.eval()(x), peer(x)
    assert theirs.std() > 0.01
    assert ((ours - theirs).abs().max() / theirs.abs().max()).item() < 1e-4


@pytest.mark.parametrize("name", [name for name in [*TORCHVISION, "densenet-264"] if name not in HUGE])
def test_logits_of_torchvision(name):
    same_logits(name, peer(name))


@pytest.mark.parametrize("name", ["alexnet", "squeezenet-1.0", "googlenet", "densenet-121"])
def test_logits_at_the_networks_resolution(name):
    same_logits(name, peer(name), ZOO[name].resolution)


@pytest.mark.parametrize("name", TIMM)
def test_logits_of_timm(name):
    peer = pytest.importorskip("timm").create_model(TIMM[name])
    same_logits(name, peer, 224 if name.startswith("vgg") else 101)  # timm's VGG pools after its layers over 7×7
