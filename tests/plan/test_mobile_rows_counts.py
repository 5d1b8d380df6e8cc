"""MixNet, FBNet-C, HardCoRe-NAS and GhostNet: counts, the compound rule, notation and building.

Parameters and MACs were counted on timm 1.0.31's models with torch's FlopCounterMode at 224 px.
"""

import pytest
import torch

from compound import ZOO, CompoundRule, NetworkError, Scaling, Stage, cost, dump_network, parse_network, scale
from compound.blocks import GhostBottleneck, MixedMBConv
from compound.nn import build

# network: timm's name, parameters, MACs with 1000 classes
EXACT = {
    "mixnet-s": ("mixnet_s", 4_134_606, 239_173_360),
    "mixnet-m": ("mixnet_m", 5_014_382, 339_172_672),
    "mixnet-l": ("mixnet_l", 7_329_252, 555_251_792),
    "mixnet-xl": ("mixnet_xl", 11_896_768, 904_010_880),
    "fbnet-c": ("fbnetc_100", 5_572_200, 384_960_160),
    "ghostnet-x0.5": ("ghostnet_050", 2_587_292, 42_328_152),
    "ghostnet": ("ghostnet_100", 5_182_508, 141_150_512),
    "ghostnet-x1.3": ("ghostnet_130", 7_358_820, 227_003_256),
    "hardcorenas-a": ("hardcorenas_a", 5_260_232, 224_227_936),
    "hardcorenas-b": ("hardcorenas_b", 5_176_544, 251_832_064),
    "hardcorenas-c": ("hardcorenas_c", 5_521_224, 270_058_400),
    "hardcorenas-d": ("hardcorenas_d", 7_500_208, 287_787_616),
    "hardcorenas-e": ("hardcorenas_e", 8_070_992, 338_689_760),
    "hardcorenas-f": ("hardcorenas_f", 8_199_688, 341_905_696),
}


@pytest.mark.parametrize(("name", "figures"), EXACT.items())
def test_params_and_macs(name: str, figures: tuple[str, int, int]) -> None:
    timm, *counts = figures
    assert ZOO[timm] is ZOO[name]
    counted = cost(ZOO[name])
    assert [counted.params, counted.macs] == counts


@pytest.mark.parametrize("name", ["mixnet-s", "fbnet-c", "ghostnet", "hardcorenas-a"])
def test_scaled_by_the_compound_rule_it_is_built_as_counted(name: str) -> None:
    network = scale(ZOO[name], CompoundRule()(1))
    assert parse_network(dump_network(network)) == network
    # 2 times before rounding; rows of one layer have two.
    assert 2 < cost(network).macs / cost(ZOO[name]).macs < 3.4
    with torch.device("meta"):
        model = build(network)
    assert cost(network).params == sum(p.numel() for p in model.parameters())


def test_parts_of_channels_are_equal_and_the_first_has_what_is_left() -> None:
    row = Stage(MixedMBConv((3, 5, 7), expand=2.5, expand_parts=2, project_parts=3), 1, 10, 2)
    network = ZOO["mixnet-s"].with_(stages=(row,), resolution=32, classes=3)  # 16 channels in, 40 inside
    (block,) = [each for each in network.blocks() if each.stage == 1]
    convs = [step for step in block.trace.steps if step.operator.params(block.trace.shapes[step.inputs[0]]) > 80]
    assert [block.trace.shapes[step.output][0] for step in convs[:5]] == [20, 20, 14, 13, 13]
    model = build(network, seed=0)
    assert cost(network).params == sum(p.numel() for p in model.parameters())
    assert model(torch.randn(2, 3, 32, 32)).shape == (2, 3)


def test_an_odd_number_of_ghosts_is_cut() -> None:
    network = ZOO["ghostnet"].with_(stages=(Stage(GhostBottleneck(expand=1.3125, se=0.25), 2, 7, 2),), classes=3)
    network = network.with_(resolution=32)  # 16 channels in, 21 inside
    model = build(network, seed=0)
    assert cost(network).params == sum(p.numel() for p in model.parameters())
    assert model(torch.randn(2, 3, 32, 32)).shape == (2, 3)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"kernels": (3, 4)}, r"kernels \[3, 4\] are not all odd and positive; use e.g. \[3, 5\]"),
        ({"kernels": ()}, r"kernels \[\] are not all odd and positive"),
        ({"kernels": (3,) * 101}, "kernels: 101 in one block are too many"),
        ({"expand_parts": 17}, "expand_parts: 17 parts of 16 channels are not possible; use 1 or 2"),
        ({"project_parts": 0}, "project_parts: 0 parts of 24 channels are not possible"),
    ],
)
def test_impossible_parts_are_refused(fields: dict[str, object], said: str) -> None:
    with pytest.raises(NetworkError, match=said):
        ZOO["mixnet-s"].with_(stages=(Stage(MixedMBConv(**fields), 1, 24),))  # type: ignore[arg-type]


def test_a_wider_mixnet_keeps_its_parts() -> None:
    wide = scale(ZOO["mixnet-m"], Scaling(width=1.7))
    assert [row.block for row in wide.stages] == [row.block for row in ZOO["mixnet-m"].stages]
