"""timm and torchvision as oracles of EfficientNetV2 and EdgeTPU, the MnasNet family, ResNeXt, SENet and RegNet."""

import importlib

import pytest
import torch
from test_oracles import same_logits
from torch.utils.flop_counter import FlopCounterMode

from compound import ZOO, cost

pytestmark = pytest.mark.oracle

SIZES = ("002", "004", "006", "008", "016", "032", "040", "064", "080", "120", "160", "320")
TIMM = {
    **{f"efficientnetv2-{size}": f"tf_efficientnetv2_{size}" for size in ("b0", "b1", "b2", "b3", "s", "m", "l", "xl")},
    **{f"efficientnet-edgetpu-{size}": f"efficientnet_e{size}" for size in "sml"},
    "mnasnet-a1": "semnasnet_100",
    "mnasnet-b1": "mnasnet_100",
    "mnasnet-small": "mnasnet_small",
    "mobilenet-v3-large": "mobilenetv3_large_100",
    "mobilenet-v3-small": "mobilenetv3_small_100",
    "mobilenet-v1": "mobilenetv1_100",
    "mobilenet-v1-x1.25": "mobilenetv1_125",
    "mobilenet-v2-x0.35": "mobilenetv2_035",
    "mobilenet-v2-x0.5": "mobilenetv2_050",
    "mobilenet-v2-x0.75": "mobilenetv2_075",
    "mobilenet-v2-x1.1d": "mobilenetv2_110d",
    "mobilenet-v2-x1.2d": "mobilenetv2_120d",
    "mobilenet-v2-x1.4": "mobilenetv2_140",
    "mobilenet-v3-large-x0.75": "mobilenetv3_large_075",
    "mobilenet-v3-small-x0.75": "mobilenetv3_small_075",
    "mnasnet-a1-x0.5": "semnasnet_050",
    "mnasnet-a1-x0.75": "semnasnet_075",
    "mnasnet-a1-x1.4": "semnasnet_140",
    "mnasnet-b1-x0.5": "mnasnet_050",
    "mnasnet-b1-x0.75": "mnasnet_075",
    "mnasnet-b1-x1.4": "mnasnet_140",
    **{f"mobilenet-v4-conv-{size}": f"mobilenetv4_conv_{size}" for size in ("small", "medium", "large")},
    **{f"tinynet-{size}": f"tinynet_{size}" for size in "abcde"},
    "resnet-200": "resnet200",
    "wide-resnet-50-2": "wide_resnet50_2",
    "wide-resnet-101-2": "wide_resnet101_2",
    "resnext-50-32x4d": "resnext50_32x4d",
    "resnext-101-32x4d": "resnext101_32x4d",
    "resnext-101-32x8d": "resnext101_32x8d",
    "resnext-101-64x4d": "resnext101_64x4d",
    "se-resnet-50": "seresnet50",
    "se-resnext-50-32x4d": "seresnext50_32x4d",
    "se-resnext-101-32x4d": "seresnext101_32x4d",
    "senet-154": "senet154",
    **{f"regnet{kind}-{size}": f"regnet{kind}_{size}" for kind in "xy" for size in SIZES},
}
REGNET_X = {
    "400mf": "400mf",
    "008": "800mf",
    "016": "1_6gf",
    "032": "3_2gf",
    "080": "8gf",
    "160": "16gf",
    "320": "32gf",
}
REGNET_Y = {
    "004": "400mf",
    "800mf": "800mf",
    "8gf": "8gf",
    "128gf": "128gf",
    "016": "1_6gf",
    "032": "3_2gf",
    "160": "16gf",
    "320": "32gf",
}
TORCHVISION = {
    **{f"efficientnetv2-{size}": f"efficientnet_v2_{size}" for size in "sml"},
    "mnasnet-b1": "mnasnet1_0",
    "mnasnet-b1-x0.5": "mnasnet0_5",
    "mnasnet-b1-x0.75": "mnasnet0_75",
    "mnasnet-b1-x1.3": "mnasnet1_3",
    "mobilenet-v3-large": "mobilenet_v3_large",
    "mobilenet-v3-small": "mobilenet_v3_small",
    "wide-resnet-50-2": "wide_resnet50_2",
    "wide-resnet-101-2": "wide_resnet101_2",
    "resnext-50-32x4d": "resnext50_32x4d",
    "resnext-101-32x8d": "resnext101_32x8d",
    "resnext-101-64x4d": "resnext101_64x4d",
    **{f"regnetx-{size}": f"regnet_x_{name}" for size, name in REGNET_X.items()},
    **{f"regnety-{size}": f"regnet_y_{name}" for size, name in REGNET_Y.items()},
}
# The giants would take gigabytes; their blocks are those of smaller sisters.
SMALL = 70e6


def timm(name):
    return pytest.importorskip("timm").create_model(name)


def torchvision(name):
    return getattr(importlib.import_module("torchvision.models"), name)()


PEERS = [(ours, timm, name) for ours, name in TIMM.items()]
PEERS += [(ours, torchvision, name) for ours, name in TORCHVISION.items()]
IDS = [f"{library.__name__}-{name}" for _, library, name in PEERS]


@pytest.mark.parametrize(("name", "library", "peer"), PEERS, ids=IDS)
def test_params_and_macs(name, library, peer):
    network = ZOO[name]
    model = library(peer).eval().to("meta")
    with FlopCounterMode(display=False) as tracer, torch.inference_mode():
        model(torch.empty(1, 3, network.resolution, network.resolution, device="meta"))
    counted = cost(network)
    assert counted.params == sum(p.numel() for p in model.parameters())
    assert 2 * counted.macs == tracer.get_total_flops()  # torch counts a multiply-add as two


@pytest.mark.parametrize(
    ("ours", "library", "peer"),
    [("tf-" + o if n.startswith("tf_") else o, lib, n) for o, lib, n in PEERS if cost(ZOO[o]).params < SMALL]
    + [("senet-154", timm, "senet154")],
)
def test_logits(ours, library, peer):
    same_logits(ours, library(peer))
