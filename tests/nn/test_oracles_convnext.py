"""timm and torchvision as oracles of ConvNeXt and ConvNeXt V2: parameters, multiply-adds, logits."""

import importlib

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from compound import ZOO, cost
from tests.nn.drawn import taken_over

pytestmark = pytest.mark.oracle

NAMES = [network.name for network in ZOO.families()["convnext"]]
TIMM = {name: name.replace("-", "_") for name in NAMES}
SMALL = ("convnext-atto", "convnext-nano", "convnextv2-atto", "convnextv2-nano")


def timm(name):
    return pytest.importorskip("timm").create_model(name)


def torchvision(name):
    return getattr(importlib.import_module("torchvision.models"), name)()


@pytest.mark.parametrize("name", NAMES)
def test_params_and_macs(name):
    with torch.device("meta"):
        model = timm(TIMM[name]).eval()
    network = ZOO[TIMM[name]]
    assert network.name == name
    with FlopCounterMode(display=False) as tracer, torch.inference_mode():
        model(torch.empty(1, 3, 224, 224, device="meta"))
    counted = cost(network)
    assert counted.params == sum(p.numel() for p in model.parameters())
    assert 2 * counted.macs == tracer.get_total_flops()


@pytest.mark.parametrize(
    ("name", "library"), [*((name, timm) for name in SMALL), ("convnext-tiny", timm), ("convnext-tiny", torchvision)]
)
def test_logits(name, library):
    torch.manual_seed(0)
    peer = library(TIMM[name]).eval()
    for parameter in peer.parameters():
        if parameter.dim() < 2 or parameter.shape[1:] == (1, 1):  # scales that hide the block, and norms
            parameter.data.normal_(0, 0.3)
    model, x = taken_over(name, peer.state_dict())
    with torch.inference_mode():
        ours, theirs = model(x), peer(x)
    assert theirs.std() > 0.01
    assert ((ours - theirs).abs().max() / theirs.abs().max()).item() < 1e-4
