"""ConvNeXt: counts, scaling, notation and building.

Parameters and MACs were counted on timm 1.0.31's models with torch's FlopCounterMode, at the networks' resolutions.
"""

from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from compound import ZOO, Scaling, cost, dump_network, parse_network, scale
from compound.nn import build

# network: parameters, MACs with 1000 classes
EXACT = {
    "convnext-atto": (3_695_520, 547_332_480),
    "convnext-femto": (5_217_784, 779_629_824),
    "convnext-pico": (9_045_672, 1_367_055_360),
    "convnext-nano": (15_593_560, 2_445_528_320),
    "convnext-tiny": (28_589_128, 4_455_531_264),
    "convnext-small": (50_223_688, 8_683_712_256),
    "convnext-base": (88_591_464, 15_354_729_472),
    "convnext-large": (197_767_336, 34_361_433_600),
    "convnext-xlarge": (350_196_968, 60_921_030_656),
    "convnextv2-atto": (3_708_400, 547_332_480),
    "convnextv2-femto": (5_233_240, 779_629_824),
    "convnextv2-pico": (9_066_280, 1_367_055_360),
    "convnextv2-nano": (15_623_800, 2_445_528_320),
    "convnextv2-tiny": (28_635_496, 4_455_531_264),
    "convnextv2-base": (88_717_800, 15_354_729_472),
    "convnextv2-large": (197_956_840, 34_361_433_600),
    "convnextv2-huge": (660_289_640, 114_922_100_480),
}
ONE_EACH = ("convnext-atto", "convnextv2-atto")


@pytest.mark.parametrize(("name", "figures"), EXACT.items())
def test_params_and_macs(name, figures):
    counted = cost(ZOO[name])
    assert (counted.params, counted.macs, counted.buffers) == (*figures, 0)


@pytest.mark.parametrize("name", ONE_EACH)
def test_scaled_networks_cost_what_their_modules_have(name):
    network = scale(ZOO[name].with_(resolution=64), Scaling(depth=1.5, width=1.3, resolution=1.2)).with_(classes=7)
    assert parse_network(dump_network(network)) == network
    with torch.device("meta"):
        model = build(network).eval()
    counted = cost(network)
    assert counted.params == sum(p.numel() for p in model.parameters())
    with FlopCounterMode(display=False) as tracer, torch.inference_mode():
        model(torch.empty(1, 3, network.resolution, network.resolution, device="meta"))
    assert 2 * counted.macs == tracer.get_total_flops()


@pytest.mark.parametrize("name", ONE_EACH)
def test_a_network_learns_from_a_batch(name):
    model = build(scale(ZOO[name].with_(resolution=32), Scaling(width=0.4)).with_(classes=3), seed=0)
    model(torch.randn(2, 3, 32, 32)).logsumexp(1).sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


def test_a_deeper_network_fits_its_channels_once_a_stage():
    network = replace(ZOO["convnext-atto"], name="deep")
    deep = scale(network, Scaling(depth=2))
    assert [row.layers for row in deep.stages] == [4, 4, 12, 4]
    assert sum("fit.conv" in step.path for row in deep.blocks() for step in row.trace.steps) == 3
