"""ConvNeXt, FasterNet and RepViT: counts, scaling, notation and building.

Parameters and MACs were counted on timm 1.0.31's models with torch's FlopCounterMode, at the networks' resolutions.
"""

from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from compound import (
    ZOO,
    CompoundRule,
    ConvBlock,
    Network,
    NetworkError,
    Scaling,
    Stage,
    UsageError,
    cost,
    dump_network,
    parse_network,
    scale,
)
from compound.blocks import PartialConv, RepVit
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
    "fasternet-t0": (3_905_500, 335_422_720),
    "fasternet-t1": (7_595_368, 850_511_872),
    "fasternet-t2": (14_982_888, 1_904_334_848),
    "fasternet-s": (31_181_032, 4_549_740_544),
    "fasternet-m": (53_521_464, 8_721_938_432),
    "fasternet-l": (93_465_192, 15_494_383_616),
}
# The same of timm's models with one classifier (`distillation=False`), of what is trained.
REPVIT = {
    "repvit-m0.9": (5_103_560, 816_896_832),
    "repvit-m1.0": (6_852_900, 1_107_629_600),
    "repvit-m1.1": (8_288_888, 1_338_730_240),
    "repvit-m1.5": (14_130_408, 2_276_456_192),
    "repvit-m2.3": (23_046_512, 4_520_850_880),
}
ONE_EACH = ("convnext-atto", "convnextv2-atto", "fasternet-t0", "repvit-m0.9")


@pytest.mark.parametrize(("name", "figures"), EXACT.items())
def test_params_and_macs(name, figures):
    counted = cost(ZOO[name])
    assert (counted.params, counted.macs) == figures
    assert (counted.buffers == 0) == name.startswith("convnext")


@pytest.mark.parametrize(("name", "figures"), REPVIT.items())
def test_params_and_macs_of_what_is_trained(name, figures):
    counted = cost(ZOO[name])
    assert (counted.training_params, counted.training_macs) == figures
    with pytest.raises(UsageError, match=f"two classifiers; did you mean {name!r}"):
        ZOO[name.replace("-", "_").replace(".", "_")]


@pytest.mark.long
@pytest.mark.parametrize("name", ONE_EACH)
def test_scaled_networks_cost_what_their_modules_have(name):
    network = scale(ZOO[name].with_(resolution=64), Scaling(depth=1.5, width=1.3, resolution=1.2)).with_(classes=7)
    assert parse_network(dump_network(network)) == network
    with torch.device("meta"):
        model = build(network).eval()
    counted = cost(network)
    assert counted.training_params == sum(p.numel() for p in model.parameters())
    with FlopCounterMode(display=False) as tracer, torch.inference_mode():
        model(torch.empty(1, 3, network.resolution, network.resolution, device="meta"))
    assert 2 * counted.training_macs == tracer.get_total_flops()


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


@pytest.mark.parametrize("name", ["fasternet-t0", "repvit-m0.9"])
def test_the_compound_rule_scales_them(name):
    """Depth where a stage repeats: what changes shapes stands once, gates in every second block of RepViT."""
    larger = scale(ZOO[name], CompoundRule()(3))
    assert 6 < cost(larger).macs / cost(ZOO[name]).macs < 12
    before, after = (sum(stage.layers for stage in each.stages) for each in (ZOO[name], larger))
    assert after > 1.4 * before
    gates = [
        [any(step.path.startswith("se.") for step in row.trace.steps) for row in n.blocks()]
        for n in (ZOO[name], larger)
    ]
    assert [sum(each) for each in gates] == ([10, 19] if name == "repvit-m0.9" else [0, 0])


@pytest.mark.parametrize(
    ("block", "channels", "stride", "sentence"),
    [
        (PartialConv(part=9), 8, 1, "part 9 is no share of 8 channels; use 2 to 8"),
        (PartialConv(part=1), 8, 1, "part 1 is no share of 8 channels"),
        (RepVit(every=0), 8, 1, "every 0 is less than one"),
        (RepVit(), 16, 1, "8 channels come in and 16 go out"),
        (RepVit(), 8, 2, "keeps its map, so stride 2 is not possible"),
    ],
)
def test_blocks_that_are_impossible(block, channels, stride, sentence):
    with pytest.raises(NetworkError, match=sentence):
        Network("n", Stage(ConvBlock(), 1, 8), (Stage(block, 1, channels, stride),), resolution=16).blocks()
