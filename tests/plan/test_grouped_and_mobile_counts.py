"""EfficientNetV2 and EdgeTPU, the MnasNet family, ResNeXt, SENet and RegNet: counts, scaling, notation, building.

Parameters and MACs were counted on timm 1.0.31's models with torch's FlopCounterMode, at the networks' resolutions.
"""

import csv
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import compound.paper
from compound import ZOO, Network, NetworkError, Scaling, cost, dump_network, parse_network, scale
from compound.blocks import Block, Bottleneck, DeepStem, Grouped, HalvedBottleneck, SqueezeExcite, UniversalMBConv
from compound.nn import build

PAPER = [*csv.DictReader((Path(compound.paper.__file__).parent / "networks.csv").read_text("utf-8").splitlines())]
# network: parameters, MACs with 1000 classes
EXACT = {
    "efficientnetv2-b0": (7_139_704, 718_086_176),
    "efficientnetv2-b1": (8_141_052, 1_196_819_360),
    "efficientnetv2-b2": (10_096_086, 1_697_542_832),
    "efficientnetv2-b3": (14_358_406, 3_011_458_816),
    "efficientnetv2-s": (21_458_488, 8_365_617_152),
    "efficientnetv2-m": (54_139_356, 24_582_460_384),
    "efficientnetv2-l": (118_515_272, 56_079_699_008),
    "efficientnetv2-xl": (208_119_808, 93_353_451_520),
    "efficientnet-edgetpu-s": (5_438_392, 1_788_731_008),
    "efficientnet-edgetpu-m": (6_899_496, 3_013_321_088),
    "efficientnet-edgetpu-l": (10_589_712, 7_936_082_848),
    "mnasnet-a1": (3_887_038, 311_579_072),
    "mnasnet-b1": (4_383_312, 314_415_872),
    "mnasnet-small": (2_030_264, 68_339_184),
    "mobilenet-v3-large": (5_483_032, 216_589_760),
    "mobilenet-v3-small": (2_542_856, 56_510_400),
    "mobilenet-v4-conv-small": (3_774_024, 186_005_568),
    "mobilenet-v4-conv-medium": (9_715_512, 1_080_244_224),
    "mobilenet-v4-conv-large": (32_590_864, 6_376_220_672),
    "tinynet-a": (6_187_972, 336_867_712),
    "tinynet-b": (3_730_562, 200_709_360),
    "tinynet-c": (2_457_234, 99_536_432),
    "tinynet-d": (2_338_446, 51_580_656),
    "tinynet-e": (2_042_972, 24_356_848),
    "resnet-200": (64_673_832, 15_007_481_856),
    "wide-resnet-50-2": (68_883_240, 11_398_021_120),
    "wide-resnet-101-2": (126_886_696, 22_753_050_624),
    "resnext-50-32x4d": (25_028_904, 4_230_479_872),
    "resnext-101-32x4d": (44_177_704, 7_969_996_800),
    "resnext-101-32x8d": (88_791_336, 16_414_015_488),
    "resnext-101-64x4d": (83_455_272, 15_460_270_080),
    "se-resnet-50": (28_088_024, 4_091_699_200),
    "se-resnext-50-32x4d": (27_559_896, 4_232_994_816),
    "se-resnext-101-32x4d": (48_955_416, 7_974_739_968),
    "senet-154": (115_088_984, 20_688_363_520),
    "regnetx-002": (2_684_792, 199_039_872),
    "regnetx-004": (5_157_512, 397_677_568),
    "regnetx-006": (6_196_040, 600_890_112),
    "regnetx-008": (7_259_656, 799_699_712),
    "regnetx-016": (9_190_136, 1_602_849_792),
    "regnetx-032": (15_296_552, 3_176_621_952),
    "regnetx-040": (22_118_248, 3_964_498_816),
    "regnetx-064": (26_209_256, 6_460_291_264),
    "regnetx-080": (39_572_648, 7_995_132_416),
    "regnetx-120": (46_106_056, 12_086_678_016),
    "regnetx-160": (54_278_536, 15_940_755_456),
    "regnetx-320": (107_811_560, 31_735_929_792),
    "regnety-002": (3_162_996, 199_514_080),
    "regnety-004": (4_344_144, 401_842_848),
    "regnety-006": (6_055_160, 601_220_992),
    "regnety-008": (6_263_168, 797_176_832),
    "regnety-016": (11_202_430, 1_612_076_160),
    "regnety-032": (19_436_338, 3_176_482_752),
    "regnety-040": (20_646_656, 3_973_288_448),
    "regnety-064": (30_583_252, 6_355_204_992),
    "regnety-080": (39_180_068, 7_963_057_312),
    "regnety-120": (51_822_544, 12_092_376_576),
    "regnety-160": (83_590_140, 15_911_510_272),
    "regnety-320": (145_046_770, 32_279_552_832),
}
# One of each family, cheap to build.
ONE_EACH = (
    "efficientnetv2-b0",
    "efficientnet-edgetpu-s",
    "mnasnet-a1",
    "mobilenet-v3-small",
    "mobilenet-v4-conv-small",
    "tinynet-e",
    "resnext-50-32x4d",
    "wide-resnet-50-2",
    "se-resnet-50",
    "senet-154",
    "regnetx-004",
    "regnety-002",
)


@pytest.mark.parametrize(("name", "figures"), EXACT.items())
def test_params_and_macs(name: str, figures: tuple[int, int]) -> None:
    counted = cost(ZOO[name])
    assert (counted.params, counted.macs) == figures


def test_activations_as_timms_benchmark_tables_list_them() -> None:
    """Column `macts` at 224 px."""
    listed = {"resnext-50-32x4d": 14.4, "regnety-016": 8.04, "mobilenet-v3-large": 4.4, "mnasnet-a1": 6.23}
    for name, millions in listed.items():
        assert cost(ZOO[name]).activations / 1e6 == pytest.approx(millions, abs=0.05)


def shallow(name: str) -> Network:
    """The network with at most two layers a stage and a quarter of the pixels, which builds quickly."""
    network = ZOO[name]
    stages = tuple(replace(row, layers=min(row.layers, 2)) for row in network.stages)
    return replace(network, stages=stages, resolution=network.resolution // 4)


@pytest.mark.long
@pytest.mark.parametrize("name", ONE_EACH)
def test_scaled_networks_cost_what_their_modules_have(name: str) -> None:
    base = shallow(name)
    network = scale(base, Scaling(depth=1.5, width=1.3, resolution=1.2))
    with torch.device("meta"):
        model = build(network.with_(classes=7)).eval()
    counted = cost(network.with_(classes=7))
    assert counted.macs > 2 * cost(base.with_(classes=7)).macs
    assert counted.params == sum(p.numel() for p in model.parameters())
    with FlopCounterMode(display=False) as tracer, torch.inference_mode():
        model(torch.empty(1, 3, network.resolution, network.resolution, device="meta"))
    assert 2 * counted.macs == tracer.get_total_flops()


@pytest.mark.parametrize("name", ONE_EACH)
def test_a_network_learns_from_a_batch(name: str) -> None:
    network = shallow(name).with_(resolution=32)
    model = build(scale(network, Scaling(width=0.25)).with_(classes=3), seed=0)
    loss = model(torch.randn(2, 3, 32, 32)).logsumexp(1).sum()
    loss.backward()
    assert torch.isfinite(loss)
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("name", ONE_EACH)
def test_round_trip_of_scaled_networks(name: str) -> None:
    network = scale(ZOO[name], Scaling(1.5, 1.3, 1.2))
    assert parse_network(dump_network(network)) == network


def test_groups_stay_whole_when_scaled() -> None:
    """ResNeXt keeps the number of groups; RegNet's groups grow with the channels (Dollár et al. 2021)."""
    wider = Scaling(width=1.3)
    assert [row.channels for row in scale(ZOO["resnext-50-32x4d"], wider).stages] == [320, 640, 1344, 2688]
    for base, scaled in zip(ZOO["regnetx-320"].stages, scale(ZOO["regnetx-320"], wider).stages, strict=True):
        assert isinstance(base.block, Grouped)
        assert isinstance(scaled.block, Grouped)
        assert (base.block.group_width, scaled.block.group_width) == (168, 216)  # 218.4 to a multiple of 8
        assert scaled.channels % 216 == 0
        assert scaled.channels / base.channels == pytest.approx(1.3, abs=0.05)


def test_regnet_rows_as_the_paper_lists_them() -> None:
    """Layers and channels of the four stages, Radosavovic et al. 2020, Figs. 16 and 17."""
    rows = {name: [(s.layers, s.channels) for s in ZOO[name].stages] for name in ("regnetx-032", "regnety-160")}
    assert rows["regnetx-032"] == [(2, 96), (6, 192), (15, 432), (2, 1008)]
    assert rows["regnety-160"] == [(2, 224), (4, 448), (11, 1232), (1, 3024)]


MESSAGES = [
    (Grouped(3, 0), 48, "group_width 0 is less than one channel; use e.g. 24, or 1"),
    (Grouped(3, 32), 48, "group_width 32 does not divide the 48 channels; use channels that are a multiple of 32"),
    (Grouped(4, 8), 48, "kernel 4 is even; use 3, 5 or 7"),
    (HalvedBottleneck(reduce=48), 48, "reduce 48 leaves one channel of 48, too few to halve; use 1"),
    (
        HalvedBottleneck(reduce=1, groups=16),
        48,
        "groups 16 do not divide the 24 channels of the first convolution; use channels that are a multiple of 32",
    ),
    (DeepStem(3), 1, "channels 1 cannot be halved for the first convolutions; use e.g. 64"),
    (UniversalMBConv(4), 48, "kernel 4 is even; use 3 or 5, or 0 for none"),
    (UniversalMBConv(3, before=-1), 48, "before -1 is negative; use 3 or 5, or 0 for none"),
    (Bottleneck(se=SqueezeExcite(2)), 48, "se 2 is not a ratio; use 0 for none or up to 1, usually 0.25"),
]


@pytest.mark.parametrize(("block", "channels", "sentence"), MESSAGES, ids=[m[2][:20] for m in MESSAGES])
def test_errors_name_field_value_and_remedy(block: Block, channels: int, sentence: str) -> None:
    with pytest.raises(NetworkError, match=rf"^{re.escape(sentence)}$"):
        block.check(48, channels)


def test_tables_show_what_differs_from_the_usual() -> None:
    lines = ZOO["mobilenet-v3-small"].table().splitlines()
    assert lines[3].split("  ")[1:2] == ["mbconv 3×3, expand 1, se 0.25, skip, activation relu"]
    assert not [line for line in lines if "None" in line]
    assert "fused-mbconv 3×3, expand 4, of output " in ZOO["efficientnet-edgetpu-s"].table()


def test_a_block_that_cannot_stride_says_so() -> None:
    small = ZOO["mobilenet-v4-conv-small"]
    row = replace(small.stages[4], block=UniversalMBConv(0))
    with pytest.raises(NetworkError, match=r"stage 5: .* cannot have stride 2; give it a kernel$"):
        small.with_(stages=(*small.stages[:4], row)).blocks()


def test_names_of_other_libraries() -> None:
    names = {
        "efficientnet_v2_s": "efficientnetv2-s",
        "tf_efficientnetv2_b3": "efficientnetv2-b3",
        "efficientnet_es": "efficientnet-edgetpu-s",
        "semnasnet_100": "mnasnet-a1",
        "mnasnet1_0": "mnasnet-b1",
        "mobilenetv3_large_100": "mobilenet-v3-large",
        "mobilenet_v3_small": "mobilenet-v3-small",
        "mobilenetv4_conv_large": "mobilenet-v4-conv-large",
        "wide_resnet50_2": "wide-resnet-50-2",
        "resnext101_64x4d": "resnext-101-64x4d",
        "seresnext50_32x4d": "se-resnext-50-32x4d",
        "regnety_032": "regnety-032",
        "regnet_x_800mf": "regnetx-008",
    }
    assert {given: ZOO[given].name for given in names} == names


# Parameters of the models of these names in timm 1.0.31.
WIDTHS = {
    "mobilenetv1_125": 6_270_840,
    "mobilenetv2_035": 1_677_128,
    "mobilenetv2_050": 1_968_680,
    "mobilenetv2_075": 2_636_424,
    "mobilenetv2_110d": 4_516_520,
    "mobilenetv2_120d": 5_831_144,
    "mobilenetv2_140": 6_108_776,
    "mobilenetv3_large_075": 3_993_528,
    "mobilenetv3_small_075": 2_041_872,
    "semnasnet_050": 2_082_006,
    "semnasnet_075": 2_912_278,
    "semnasnet_140": 6_105_992,
    "mnasnet_050": 2_218_512,
    "mnasnet_075": 3_170_208,
    "mnasnet_140": 7_115_728,
}


@pytest.mark.parametrize(("name", "params"), WIDTHS.items())
def test_published_widths_have_published_parameters(name: str, params: int) -> None:
    assert cost(ZOO[name]).params == params


@pytest.mark.parametrize(("width", "params", "macs"), [(0.75, 2.6, 325), (0.5, 1.3, 149), (0.25, 0.5, 41)])
def test_widths_of_mobilenet_v1_as_its_table_prints_them(width: float, params: float, macs: int) -> None:
    """Howard et al. 2017, Table 6."""
    counted = cost(ZOO[f"mobilenet-v1-x{width:g}"])
    assert (round(counted.params / 1e6, 1), round(counted.macs / 1e6)) == (params, macs)


@pytest.mark.parametrize("row", PAPER, ids=lambda row: row["model"])
def test_every_network_of_the_papers_tables_is_found_by_its_name_there(row: dict[str, str]) -> None:
    assert ZOO[row["model"]] == ZOO[row["network"]]
