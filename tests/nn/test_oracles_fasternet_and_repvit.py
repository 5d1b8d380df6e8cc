"""timm as the oracle of FasterNet and RepViT (with one classifier): parameters, multiply-adds, logits."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from compound import ZOO, cost
from compound.nn.fold import fold
from tests.nn.drawn import taken_over

pytestmark = pytest.mark.oracle
timm = pytest.importorskip("timm")

NAMES = [network.name for family in ("fasternet", "repvit") for network in ZOO.families()[family]]
SMALL = ("fasternet-t0", "fasternet-t1", "fasternet-t2", "repvit-m0.9", "repvit-m1.0", "repvit-m1.1", "repvit-m1.5")


def peer(name):
    extra = {"distillation": False} if name.startswith("repvit") else {}
    return timm.create_model(name.replace("-", "_").replace(".", "_"), **extra).eval()


@pytest.mark.parametrize("name", NAMES)
def test_params_and_macs(name):
    with torch.device("meta"):
        model = peer(name)
    with FlopCounterMode(display=False) as tracer, torch.inference_mode():
        model(torch.empty(1, 3, 224, 224, device="meta"))
    counted = cost(ZOO[name])
    assert counted.training_params == sum(p.numel() for p in model.parameters())
    assert 2 * counted.training_macs == tracer.get_total_flops()


@pytest.mark.parametrize("name", SMALL)
def test_logits(name):
    """Of timm's state dict as it stands, of one sorted by alphabet, and folded."""
    torch.manual_seed(0)
    theirs = peer(name)
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.1)
    model, x = taken_over(name, theirs.state_dict())
    with torch.inference_mode():
        expected, ours = theirs(x), model(x)
        folded = fold(model)(x)
    assert expected.std() > 0.01
    for found in (ours, folded):
        assert ((found - expected).abs().max() / expected.abs().max()).item() < 1e-4
