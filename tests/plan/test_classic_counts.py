"""AlexNet, VGG, GoogLeNet, DenseNet, SqueezeNet, ShuffleNet: counts against torchvision's, scaling, errors, building."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from compound import (
    ZOO,
    Budget,
    Network,
    NetworkError,
    Scaling,
    Stage,
    cost,
    dump_network,
    fit_budget,
    parse_network,
    scale,
)
from compound.blocks import Block, ConvBlock, Dense, Fire, MaxPool, ShuffleV1, ShuffleV2, Style
from compound.nn import build
from compound.nn.modules import make
from compound.zoo.googlenet import module

# network: parameters, multiply-adds of torchvision 0.29's model at 224 px, by torch's own flop counter
TORCHVISION = {
    "alexnet": (61_100_840, 714_188_480),
    "vgg-11": (132_863_336, 7_609_090_048),
    "vgg-13": (133_047_848, 11_308_466_176),
    "vgg-16": (138_357_544, 15_470_264_320),
    "vgg-19": (143_667_240, 19_632_062_464),
    "vgg-11-bn": (132_868_840, 7_609_090_048),
    "vgg-13-bn": (133_053_736, 11_308_466_176),
    "vgg-16-bn": (138_365_992, 15_470_264_320),
    "vgg-19-bn": (143_678_248, 19_632_062_464),
    "googlenet": (6_624_904, 1_498_376_192),
    "densenet-121": (7_978_856, 2_834_161_664),
    "densenet-161": (28_681_000, 7_727_907_072),
    "densenet-169": (14_149_480, 3_359_843_328),
    "densenet-201": (20_013_928, 4_291_365_888),
    "densenet-264": (
        33_337_704,
        5_751_653_376,
    ),  # torchvision's DenseNet(32, (6, 12, 64, 48)), which it has no name for
    "squeezenet-1.0": (1_248_424, 818_924_576),
    "squeezenet-1.1": (1_235_496, 349_151_936),
    "shufflenet-v2-x0.5": (1_366_792, 40_476_448),
    "shufflenet-v2-x1.0": (2_278_604, 144_907_992),
    "shufflenet-v2-x1.5": (3_503_624, 295_759_392),
    "shufflenet-v2-x2.0": (7_393_996, 583_253_464),
}
ONE_A_FAMILY = ("alexnet", "vgg-16", "googlenet", "densenet-121", "squeezenet-1.1", "shufflenet-v1-g3", "shufflenet-v2-x0.5")  # fmt: skip


@pytest.mark.parametrize(("name", "figures"), TORCHVISION.items())
def test_params_and_macs_of_torchvision(name: str, figures: tuple[int, int]) -> None:
    counted = cost(ZOO[name])
    assert (counted.params, counted.macs) == figures


# The authors' table (github.com/megvii-model/ShuffleNet-Series, ShuffleNetV1, three groups): parameters, "FLOPs".
# Their classifier has no bias. 138 is 137.46 here, where the paper's Table 2 prints 140.
@pytest.mark.parametrize(("width", "params", "flops"), [(0.5, 0.7, 38), (1, 1.9, 138), (1.5, 3.4, 292), (2, 5.4, 524)])
def test_shufflenet_v1_scales_to_the_authors_variants(width: float, params: float, flops: float) -> None:
    v1 = ZOO["shufflenet-v1-g3"]
    if width == 1.5:  # its stem alone stays at 24 channels
        v1 = v1.with_(stem=replace(v1.stem, fixed=("width",)))
    counted = cost(scale(v1, Scaling(width=width)))
    assert round((counted.params - 1000) / 1e6, 1) == params
    assert counted.macs / 1e6 == pytest.approx(flops, abs=0.6)


@pytest.mark.parametrize(("inp", "grows"), [(12, False), (6, True)])
def test_shufflenet_v1_block_is_figure_2_of_the_paper(inp: int, grows: bool) -> None:
    """Written out a second time in plain torch: Fig. 2b, and Fig. 2c with an entry that is not grouped."""
    torch.manual_seed(0)
    block, stride = ShuffleV1(groups=3, reduce=2, group_entry=False), 2 if grows else 1
    model = make(block.operators(inp, 12, stride, Style(activation="relu")), (inp, 7, 7)).eval()
    entry, depthwise, expand = (m.weight for m in model.modules() if isinstance(m, torch.nn.Conv2d))
    x = torch.randn(2, inp, 7, 7)
    y = F.conv2d(x, entry, groups=1 if grows else 3).div(1.001**0.5).relu()  # a new norm divides by √(1 + ε)
    y = y[:, [0, 2, 4, 1, 3, 5]]  # channel n of group g becomes channel g of group n
    y = F.conv2d(y, depthwise, stride=stride, padding=1, groups=6).div(1.001**0.5)
    y = F.conv2d(y, expand, groups=3).div(1.001**0.5)
    pooled = F.avg_pool2d(x, 3, 2, 1, count_include_pad=False) if grows else x
    expected = torch.cat([pooled, y], 1).relu() if grows else (pooled + y).relu()
    assert torch.allclose(model(x), expected, atol=1e-6)


def test_a_densenet_stage_grows_by_its_channels_and_halves_by_its_stride() -> None:
    # Table 1: 64 + 6 · 32 = 256, halved 128; 128 + 12 · 32 = 512, halved 256; …; 512 + 16 · 32 = 1024
    rows = {row.stage: row.output for row in ZOO["densenet-121"].blocks()[:-1]}
    assert list(rows.values()) == [(64, 56, 56), (256, 56, 56), (512, 28, 28), (1024, 14, 14), (1024, 7, 7)]
    assert Dense().out_channels(256, 32, stride=2) == 128 + 32
    # 2×2 pooling without padding: of 15 positions 7 are left, as in torchvision
    assert ZOO["densenet-121"].with_(resolution=240).blocks()[-1].input == (1024, 7, 7)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("vgg16_bn", "vgg-16-bn"),
        ("densenet121", "densenet-121"),
        ("squeezenet1_1", "squeezenet-1.1"),
        ("shufflenet_v2_x1_0", "shufflenet-v2-x1.0"),
        ("inception_v1", "googlenet"),
    ],
)
def test_names_of_other_libraries(given: str, name: str) -> None:
    assert ZOO[given] is ZOO[name]


def on_meta(network: Network) -> tuple[int, int]:
    """Parameters and multiply-adds of the built module, by torch's counter and without data."""
    with torch.device("meta"), torch.inference_mode():
        model = build(network.with_(classes=10)).eval()
        with FlopCounterMode(display=False) as tracer:
            model(torch.empty(1, 3, network.resolution, network.resolution))
    return sum(p.numel() for p in model.parameters()), tracer.get_total_flops() // 2


@pytest.mark.long
@pytest.mark.parametrize("name", ONE_A_FAMILY)
def test_what_is_counted_after_scaling_is_what_is_built(name: str) -> None:
    network = scale(ZOO[name], Scaling(1.5, 1.3, 1.2))
    counted, base = cost(network.with_(classes=10)), cost(ZOO[name].with_(classes=10))
    assert (counted.params, counted.macs) == on_meta(network)
    assert counted.macs > 2.5 * base.macs  # d · w² · r² is 3.65
    assert parse_network(dump_network(network)) == network


@pytest.mark.parametrize("width", [0.05, 0.1, 0.37, 0.77, 1.15, 2.5])
def test_every_width_is_a_network(width: float) -> None:
    for name in ONE_A_FAMILY:
        network = scale(ZOO[name], Scaling(width=width))
        for stage, before in zip(network.stages, (network.stem, *network.stages), strict=False):
            if isinstance(stage.block, MaxPool):
                assert stage.channels == before.channels


def test_inner_widths_scale_with_the_stage() -> None:
    assert scale(ZOO["squeezenet-1.0"], Scaling(width=2)).stages[1].block == Fire(squeeze=32)
    wide = scale(ZOO["googlenet"], Scaling(width=2)).stages[4]
    assert (wide.block, wide.channels) == (module(128, (192, 256), (32, 64)), 512)
    assert scale(ZOO["vgg-16"], Scaling(width=0.5)).head.hidden == (2048, 2048)


def test_pooling_is_not_repeated_in_a_deeper_network() -> None:
    deeper = scale(ZOO["vgg-16"], Scaling(depth=2))
    assert [s.layers for s in deeper.stages] == [2, 1, 4, 1, 6, 1, 6, 1, 6, 1]
    assert deeper.total_stride == 32


@pytest.mark.parametrize("name", ONE_A_FAMILY)
def test_a_narrow_one_learns(name: str) -> None:
    network = scale(ZOO[name], Scaling(width=0.1)).with_(resolution=96, dropout=0.0)
    model = build(network.with_(classes=5), seed=0).train()
    logits = model(torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0)))
    assert logits.shape == (2, 5)
    logits.square().sum().backward()
    first = model.stem.conv.weight.grad
    assert first.isfinite().all()
    assert first.abs().sum() > 0


def test_maps_that_vanish_are_refused_and_budgets_stay_above_them() -> None:
    vgg = ZOO["vgg-16"]
    with pytest.raises(
        NetworkError, match=r"^vgg-16 at 16 px: stage 10: nothing is left of a 1×1 map; use a larger resolution"
    ):
        vgg.with_(resolution=16).blocks()
    plan = fit_budget(vgg, Budget(macs=2e7))
    assert plan.network.resolution >= 32
    assert 0 < plan.cost.macs <= 2e7


def test_the_table_shows_hidden_layers_and_stays_aligned() -> None:
    lines = ZOO["googlenet"].table().splitlines()[1:]
    assert {len(line) for line in lines[:-1]} == {len(lines[0])}
    assert "pool, linear 4096, linear 4096, linear" in ZOO["vgg-16"].table()
    assert "None" not in ZOO["efficientnet-b0"].table()


ERRORS: list[tuple[Block, int, int, str]] = [
    (MaxPool(0), 16, 1, "kernel 0 is not positive; use 2 or 3"),
    (MaxPool(2), 24, 1, "max pooling leaves 16 channels as they are; use channels 16 instead of 24"),
    (Dense(bottleneck=0), 8, 1, "bottleneck 0 is less than one; use 4"),
    (Dense(compress=0), 8, 1, "compress 0 is not a share of the channels; use 0.5, or 1 to keep all"),
    (Dense(compress=0.01), 8, 1, "compress 0.01 leaves no channel of 16; use 0.5, or 1 to keep all"),
    (Fire(squeeze=0), 64, 1, "squeeze 0 is less than one; use e.g. 16"),
    (Fire(), 1, 1, "channels 1 cannot be halved; use an even number, such as 128"),
    (ShuffleV2(), 17, 1, "channels 17 cannot be halved; use an even number, such as 116"),
    (ShuffleV1(groups=0), 48, 1, "groups 0 is less than one; use 3"),
    (ShuffleV1(groups=2), 8, 1, "16 channels come in and the block adds to them; use channels 16 or more"),
    (ShuffleV1(groups=2), 20, 1, "groups 2 do not divide the 16 channels that come in or the 5 inside the block; use channels, and a divisor of the network, that are multiples of 8"),
]  # fmt: skip


@pytest.mark.parametrize(("block", "channels", "layers", "sentence"), ERRORS)
def test_errors_name_field_value_and_remedy(block: Block, channels: int, layers: int, sentence: str) -> None:
    with pytest.raises(NetworkError) as error:
        Network("n", Stage(ConvBlock(), 1, 16), (Stage(block, layers, channels, 2),))
    assert str(error.value) == f"stage 1: {sentence}"
