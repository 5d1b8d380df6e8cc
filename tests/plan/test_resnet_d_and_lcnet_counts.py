"""ResNet-D, ResNet-RS and PP-LCNet: parameters and MACs counted on timm 1.0.31's models with torch's FlopCounterMode."""

import pytest
import torch

from compound import ZOO, Scaling, cost, dump_network, parse_network, scale
from compound.blocks import HalvedBottleneck
from compound.errors import NetworkError
from compound.network import Stage
from compound.nn import build

# timm's name: network, px, parameters, MACs
EXACT = {
    "resnet18d": ("resnet-18-d", 224, 11_708_744, 2_053_713_920),
    "resnet26d": ("resnet-26-d", 224, 16_014_408, 2_581_897_216),
    "resnet34d": ("resnet-34-d", 224, 21_816_904, 3_903_401_984),
    "resnet50d": ("resnet-50-d", 224, 25_576_264, 4_328_824_832),
    "resnet101d": ("resnet-101-d", 224, 44_568_392, 8_041_046_016),
    "resnet152d": ("resnet-152-d", 224, 60_212_040, 11_753_267_200),
    "resnet200d": ("resnet-200-d", 224, 64_693_064, 15_247_122_432),
    "resnetrs50": ("resnet-rs-50", 160, 35_691_912, 2_278_629_376),
    "resnetrs101": ("resnet-rs-101", 192, 63_618_696, 6_012_157_952),
    "resnetrs152": ("resnet-rs-152", 256, 86_621_576, 15_527_886_848),
    "resnetrs200": ("resnet-rs-200", 256, 93_209_992, 20_093_386_752),
    "resnetrs270": ("resnet-rs-270", 256, 129_861_448, 26_950_189_056),
    "resnetrs350": ("resnet-rs-350", 288, 163_956_168, 43_493_793_792),
    "resnetrs420": ("resnet-rs-420", 320, 191_891_656, 63_942_344_704),
    "lcnet_035": ("lcnet-x0.35", 224, 1_644_370, 27_357_832),
    "lcnet_050": ("lcnet-x0.5", 224, 1_880_856, 44_731_008),
    "lcnet_075": ("lcnet-x0.75", 224, 2_358_288, 94_786_496),
    "lcnet_100": ("lcnet-x1", 224, 2_953_800, 155_700_480),
    "lcnet_150": ("lcnet-x1.5", 224, 4_501_112, 334_188_416),
}


@pytest.mark.parametrize(("name", "expected"), EXACT.items())
def test_params_and_macs(name, expected):
    network = ZOO[name]
    counted = cost(network)
    assert (network.name, network.resolution, counted.params, counted.macs) == expected


@pytest.mark.parametrize("name", ["resnet-18-d", "resnet-rs-50", "lcnet-x0.35"])
def test_scaled_networks_have_the_parameters_that_are_counted(name):
    network = scale(ZOO[name], Scaling(depth=1.5, width=1.3)).with_(classes=7)
    assert parse_network(dump_network(network)) == network
    with torch.device("meta"):
        model = build(network)
    assert cost(network).params == sum(p.numel() for p in model.parameters())
    strided = [s for s in network.stages if s.stride > 1 and "depth" in s.fixed]
    assert all(stage.layers == 1 for stage in strided)


def test_a_pooled_shortcut_of_another_kernel_is_refused():
    with pytest.raises(NetworkError, match="stage 1: pooled shortcuts have a 1×1 convolution"):
        ZOO["resnet-50"].with_(stages=(Stage(HalvedBottleneck(pooled=True), 1, 256),))
