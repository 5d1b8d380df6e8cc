"""Blocks that train with branches: counts, exact folding, scaling and inheriting.

Parameters and MACs were counted on timm 1.0.31's models with torch's FlopCounterMode at 224 px.
"""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from compound import (
    ZOO,
    Budget,
    MBConv,
    Network,
    Scaling,
    Stage,
    Style,
    cost,
    dump_network,
    fit_budget,
    ops,
    parse_network,
    scale,
    stage_costs,
)
from compound.blocks import MobileOne, RepVgg, RepVit, SqueezeExcite
from compound.cost import children, cost_fields, operator_costs, training_text
from compound.errors import NetworkError
from compound.latency import DeviceTable, latency, units
from compound.nn import build, inherit
from compound.nn.fold import fold
from compound.nn.modules import Sum, make

TRAINED = {
    "repvgg-a0": (9_108_968, 1_512_581_120),
    "repvgg-a1": (14_092_264, 2_626_488_320),
    "repvgg-a2": (28_210_600, 5_685_345_280),
    "repvgg-b0": (15_817_960, 3_397_191_680),
    "repvgg-b1": (57_415_016, 13_128_089_600),
    "repvgg-b2": (89_022_376, 20_418_170_880),
    "repvgg-b3": (123_085_288, 29_120_696_320),
    "repvgg-d2se": (133_334_836, 36_476_744_192),
    "mobileone-s0": (5_293_272, 1_051_935_232),
    "mobileone-s1": (4_825_192, 830_062_080),
    "mobileone-s2": (7_884_648, 1_304_027_392),
    "mobileone-s3": (10_170_600, 1_902_112_768),
    "mobileone-s4": (14_951_248, 2_986_802_432),
}

# The same after timm's `reparameterize_model`.
DEPLOYED = {
    "repvgg-a0": (8_309_384, 1_361_451_008),
    "repvgg-b1": (51_829_480, 11_815_485_440),
    "repvgg-d2se": (120_387_572, 32_829_551_104),
    "mobileone-s0": (2_078_504, 275_110_400),
    "mobileone-s1": (4_764_840, 825_057_024),
    "mobileone-s4": (14_838_352, 2_979_269_760),
}

SMALL = Network(
    name="small",
    stem=Stage(RepVgg(), 1, 8, 2),
    stages=(
        Stage(RepVgg(), 2, 16, 2),
        Stage(MobileOne(convs=3), 2, 24, 2),
        Stage(MobileOne(5, se=SqueezeExcite(0.25)), 2, 24),
        Stage(RepVgg(5, se=0.25), 2, 24),
    ),
    style=Style(activation="relu"),
    resolution=32,
    classes=4,
)


@pytest.mark.parametrize(("name", "figures"), TRAINED.items())
def test_params_and_macs_of_training(name, figures):
    counted = cost(ZOO[name])
    assert (counted.training_params, counted.training_macs) == figures


@pytest.mark.parametrize(("name", "figures"), DEPLOYED.items())
def test_params_and_macs_of_what_is_deployed(name, figures):
    counted = cost(ZOO[name])
    assert (counted.params, counted.macs) == figures


def test_every_count_of_inference_is_of_the_folded_network():
    counted, stages = cost(SMALL), stage_costs(SMALL)
    folded = fold(build(SMALL))
    with FlopCounterMode(display=False) as tracer:
        folded(torch.empty(1, 3, 32, 32))
    # The head has no norm, and every convolution of a block is a sum or in a gate.
    assert counted.params == sum(p.numel() for p in folded.parameters())
    assert counted.buffers == 0
    assert 2 * counted.macs == tracer.get_total_flops()
    assert sum(one.params for one in stages.values()) == counted.params
    assert sum(one.macs for one in stages.values()) == counted.macs
    operators = [one for row in SMALL.blocks() for *_, one in operator_costs(row)]
    assert sum(one.params for one in operators) == counted.params
    assert sum(one.activations for one in operators) == counted.activations
    assert counted.memory() == 4 * (counted.params + counted.live)


def test_budgets_hold_what_is_deployed_and_memory_of_training_all_branches():
    counted = cost(SMALL)
    model = build(SMALL)
    learned = sum(p.numel() for p in model.parameters())
    statistics = sum(b.numel() for n, b in model.named_buffers() if "running" in n)
    assert counted.state_memory() == 4 * (5 * learned + 2 * statistics)
    assert fit_budget(SMALL, Budget(macs=counted.macs, params=counted.params)).phi == 0
    (reduced,) = children(SMALL)[1:2]
    assert reduced.params == max(sum(p.numel() for p in block.parameters()) for block in model.stage1)
    with_branches = [unit for row in SMALL.blocks() for unit, _ in units(row.trace)]
    folded = [unit for row in SMALL.blocks() for unit, _ in units(row.trace.deployed)]
    assert sum(unit.kind.startswith(("conv", "depthwise")) for unit in folded) == 1 + 2 + 4 + 4 + 2
    table = DeviceTable("optimized", 1, 1, 0.1, {unit.kind: [(*unit.size, 1.0)] for unit in folded})
    assert not latency(SMALL, table).missing
    assert latency(SMALL, replace(table, runtime="eager")).missing
    assert len(with_branches) > 2 * len(folded)


def test_what_is_trained_is_said_beside(capsys):
    assert training_text(cost(SMALL)).startswith("counted as deployed, with branches folded; ")
    assert training_text(cost(ZOO["resnet-18"])) == ""
    assert "training_params" in cost_fields(SMALL, cost(SMALL))
    assert "training_params" not in cost_fields(ZOO["resnet-18"], cost(ZOO["resnet-18"]))


def trained(network):
    """A model in which no statistic is what it started as."""
    model = build(network, seed=0)
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
            module.weight.data.uniform_(0.3, 0.8, generator=generator)
            module.bias.data.normal_(0, 0.1, generator=generator)
    return model.eval()


def differ(one, other, side=32):
    x = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected, found = one(x), other(x)
    assert expected.std() > 1e-3
    return ((expected - found).abs().max() / expected.abs().max()).item()


@pytest.mark.parametrize("side", [32, 37])
def test_folded_every_sum_is_one_convolution_and_the_logits_are_the_same(side):
    model = trained(SMALL)
    folded = fold(model)
    assert not [m for m in folded.modules() if isinstance(m, Sum | nn.BatchNorm2d)]
    assert sum(isinstance(m, nn.Conv2d) for m in folded.modules()) == 1 + 2 + 4 + (4 + 8) + (2 + 4)  # gates have two
    assert differ(model, folded, side) < 1e-5


VIT = SMALL.with_(
    stages=(Stage(RepVit(every=2), 3, 8), Stage(MBConv(3, 1, 0), 1, 16, 2), Stage(RepVit(5, se=0), 2, 16))
)


def test_branches_with_an_identity_that_has_no_norm_are_one_convolution_too():
    model = trained(VIT)
    folded = fold(model)
    assert not [m for m in folded.modules() if isinstance(m, Sum | nn.BatchNorm2d)]
    assert differ(model, folded) < 1e-5
    counted = cost(VIT)
    assert counted.training_params == sum(p.numel() for p in model.parameters())
    with FlopCounterMode(display=False) as tracer:
        folded(torch.empty(1, 3, 32, 32))
    assert 2 * counted.macs == tracer.get_total_flops()


def test_a_deeper_one_without_gates_is_the_same():
    plain = VIT.with_(stages=(replace(VIT.stages[2], channels=8), *VIT.stages[1:]))
    model = trained(plain)
    deeper = inherit(model, scale(plain, Scaling(depth=2)))
    assert [len(deeper.stage1), len(deeper.stage3)] == [4, 4]
    assert differ(model, deeper) < 1e-5


def test_branches_that_do_not_lie_over_one_another_stay():
    network = SMALL.with_(style=replace(SMALL.style, padding="same"))  # TensorFlow's: uneven where a map is halved
    model = trained(network)
    folded = fold(model)
    assert [name for name, m in folded.named_modules() if isinstance(m, Sum)] == [
        "stem.sum", "stage1.block1_sum", "stage2.block1_depthwise",
    ]  # fmt: skip
    sums = {
        step.path.partition(".")[0]
        for row in network.blocks()
        for step in row.trace.deployed.steps
        if ".add" in step.path
    }
    assert sums == {"sum", "depthwise"}
    assert cost(network).buffers == 2 * (2 * 8 + 2 * 16 + 4 * 16)  # statistics of 2, 2 and 4 branches
    assert differ(model, folded) < 1e-5


def test_windows_that_cross_are_not_one():
    """A column and a row of three: neither is a part of the other."""
    crossed = ops.Sum((ops.Conv(4, (3, 1)), ops.Conv(4, (1, 3))))
    module, x = nn.Sequential(make(crossed, (4, 8, 8))).eval(), torch.rand(1, 4, 8, 8)
    torch.testing.assert_close(fold(module)(x), module(x))
    assert crossed.folded(4) is None


@pytest.mark.long
@pytest.mark.parametrize("factors", [(1.0, 1.5), (2.0, 1.0), (1.5, 2.0)])
def test_scaled_networks_are_counted_and_inherit(factors):
    network = scale(SMALL, Scaling(*factors, 1.25))
    assert parse_network(dump_network(network)) == network
    with torch.device("meta"):
        model = build(network).eval()
    with FlopCounterMode(display=False) as tracer, torch.inference_mode():
        model(torch.empty(1, 3, network.resolution, network.resolution, device="meta"))
    counted = cost(network)
    assert counted.training_params == sum(p.numel() for p in model.parameters())
    assert 2 * counted.training_macs == tracer.get_total_flops()
    without = replace(network, stages=tuple(replace(s, block=replace(s.block, se=0)) for s in network.stages))
    plain = trained(replace(SMALL, stages=tuple(replace(s, block=replace(s.block, se=0)) for s in SMALL.stages)))
    assert differ(plain, inherit(plain, without)) < 1e-4  # a new gate beside the identity would not be one


@pytest.mark.parametrize("convs", [0, 65])
def test_branches_have_bounds(convs):
    with pytest.raises(NetworkError, match=f"stage 1: convs {convs} is not a number of branches; use 1 to 64"):
        SMALL.with_(stages=(Stage(MobileOne(convs=convs), 1, 8),))


def test_it_trains_beside_other_blocks():
    network = SMALL.with_(stages=(Stage(MobileOne(convs=2), 1, 8), Stage(MBConv(), 1, 8)))
    model = build(network, seed=0)
    model(torch.randn(4, 3, 32, 32)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.stage1.parameters())
