"""timm as oracle of RepVGG and MobileOne: parameters, multiply-adds, logits with all branches and folded."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from compound import ZOO, cost
from compound.nn.fold import fold
from tests.nn.drawn import taken_over

pytestmark = pytest.mark.oracle
timm = pytest.importorskip("timm")
NAMES = {network.name: network.name.replace("-", "_") for network in ZOO.families()["repvgg"]}


@pytest.mark.parametrize("name", NAMES)
def test_params_and_macs(name):
    with torch.device("meta"):
        model = timm.create_model(NAMES[name]).eval()
    network = ZOO[NAMES[name]]
    assert network.name == name
    with FlopCounterMode(display=False) as tracer, torch.inference_mode():
        model(torch.empty(1, 3, 224, 224, device="meta"))
    counted = cost(network)
    assert counted.training_params == sum(p.numel() for p in model.parameters())
    assert 2 * counted.training_macs == tracer.get_total_flops()


@pytest.mark.parametrize("name", ["repvgg-a0", "repvgg-d2se", "mobileone-s0", "mobileone-s4"])
def test_params_of_what_is_deployed(name):
    model = timm.utils.model.reparameterize_model(timm.create_model(NAMES[name]).eval())
    counted = cost(ZOO[name])
    assert counted.params == sum(p.numel() for p in model.parameters())
    assert counted.buffers == 0


@pytest.mark.parametrize("name", ["repvgg-a0", "repvgg-b0", "mobileone-s0", "mobileone-s1", "mobileone-s4"])
def test_logits(name):
    torch.manual_seed(0)
    peer = timm.create_model(NAMES[name]).eval()
    for module in peer.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.3, 0.7)
    model, x = taken_over(name, peer.state_dict())
    with torch.inference_mode():
        ours, theirs = model(x), peer(x)
        folded = fold(model)(x)
        peer = timm.utils.model.reparameterize_model(peer)
        refolded = peer(x)
    largest = theirs.abs().max()
    assert theirs.std() / theirs.mean().abs() > 1e-3
    assert ((ours - theirs).abs().max() / largest).item() < 1e-4
    assert ((folded - ours).abs().max() / largest).item() < 1e-4
    assert ((folded - refolded).abs().max() / largest).item() < 1e-4
