"""timm, torchvision and pretrainedmodels as oracles of the Inception families, Xception and PolyNet."""

import importlib.util
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from compound import ZOO, cost
from compound.blocks import InceptionResidual
from compound.nn import build, import_weights
from tests.nn.drawn import randomise

pytestmark = pytest.mark.oracle


def timm(name):
    return lambda: pytest.importorskip("timm").create_model(name)


def torchvision_v3():
    return importlib.import_module("torchvision.models").inception_v3(aux_logits=False, init_weights=False)


def port_of_polynet():
    """The one file of the package `pretrainedmodels` that is needed; the rest wants more packages."""
    package = importlib.util.find_spec("pretrainedmodels")
    if package is None:
        pytest.skip("pretrainedmodels is not installed")
    spec = importlib.util.spec_from_file_location("polynet", Path(package.origin).parent / "models" / "polynet.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.PolyNet()


PEERS = [
    pytest.param("inception-v3", torchvision_v3, id="inception-v3-torchvision"),
    pytest.param("inception-v3", timm("inception_v3"), id="inception-v3-timm"),
    pytest.param("inception-v4", timm("inception_v4"), id="inception-v4"),
    pytest.param("inception-resnet-v2", timm("inception_resnet_v2"), id="inception-resnet-v2"),
    pytest.param("xception", timm("legacy_xception"), id="xception"),
]


def difference(network, peer, state):
    """The largest difference of logits, as a share of the largest logit; 128 px leave 2×2 positions to pool."""
    model = build(network)
    import_weights(model, state)
    x = torch.randn(2, 3, 128, 128)
    with torch.inference_mode():
        ours, theirs = model.eval()(x), peer(x)
    assert theirs.abs().max() > 0.01
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


@pytest.mark.parametrize(("name", "peer"), PEERS)
def test_logits(name, peer):
    torch.manual_seed(0)
    model = randomise(peer().eval())
    eps = {module.eps for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)}
    assert eps == {ZOO[name].style.norm_eps}
    assert difference(ZOO[name], model, model.state_dict()) < 1e-4


@pytest.mark.parametrize(("name", "peer"), [*PEERS, pytest.param("polynet", port_of_polynet, id="polynet")])
def test_params_and_macs(name, peer):
    network = ZOO[name]
    with torch.device("meta"):
        model = peer().eval()
    with FlopCounterMode(display=False) as counter:
        model(torch.empty(1, 3, network.resolution, network.resolution, device="meta"))
    counted = cost(network)
    assert counted.params == sum(p.numel() for p in model.parameters())
    assert 2 * counted.macs == counter.get_total_flops()


def test_logits_of_polynet():
    """The port lists the norms of a poly module convolution by convolution, we term by term; its scales differ."""
    torch.manual_seed(0)
    peer = randomise(port_of_polynet().eval())
    peer.avg_pool = torch.nn.AdaptiveAvgPool2d(1)  # its own needs 331 px
    for module in peer.modules():
        if hasattr(module, "scale"):
            module.scale = 0.3
    stages = tuple(
        replace(stage, block=replace(stage.block, scale=0.3)) if isinstance(stage.block, InceptionResidual) else stage
        for stage in ZOO["polynet"].stages
    )

    def term(key):
        found = re.search(r"(.*)\.\w+\.bn_blocks\.(\d)|(.*)\.conv2d_blocks\.(\d)\.bn", key)
        return (found[1] or found[3], int(found[2] or found[4])) if found else (key, 0)

    state = peer.state_dict()
    modules = dict.fromkeys(term(key)[0] for key in state)
    place = {name: number for number, name in enumerate(modules)}
    keys = sorted(state, key=lambda key: (place[term(key)[0]], term(key)[1]))
    assert difference(ZOO["polynet"].with_(stages=stages), peer, {key: state[key] for key in keys}) < 1e-4
