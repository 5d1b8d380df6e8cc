"""A smaller network keeps what the larger one computes as far as it can: which channels, which norms, which blocks."""

from itertools import product

import pytest
import torch
from test_inherit import SMALL, difference, trained

from compound import Budget, FusedMBConv, MBConv, Stage, cost
from compound.blocks import MixedMBConv
from compound.errors import BudgetError
from compound.nn import inherit
from compound.nn.cutting import Cutter, Option, apart, cheapest, divergence
from compound.nn.importance import importance
from compound.notation import dump_network, parse_network

IMAGES = torch.randn(16, 3, 32, 32, generator=torch.Generator().manual_seed(1))
DEEP = SMALL.with_(stages=(Stage(FusedMBConv(3, 2), 2, 16, 2), Stage(MBConv(5, 3), 3, 24, 2)))


def test_importance_is_how_far_the_logits_move_without_a_channel():
    model = trained(SMALL)
    block = model.stage2.block1
    conv, norm = block.expand.conv, block.depthwise.norm
    scores, some = importance(model, [IMAGES] * 8), list(range(0, conv.out_channels, 4))
    assert len(scores[conv]) == conv.out_channels
    with torch.no_grad():
        before, moves = model(IMAGES), []
        weight, bias = norm.weight.clone(), norm.bias.clone()
        for channel in some:
            norm.weight[channel] *= 0.9  # so little that the first order is all there is
            norm.bias[channel] *= 0.9
            moves.append((model(IMAGES) - before).square().sum())
            norm.weight.copy_(weight)
            norm.bias.copy_(bias)
    ranks = [each.argsort().argsort().double() for each in (torch.stack(moves), scores[conv][some])]
    assert torch.corrcoef(torch.stack(ranks))[0, 1] > 0.8
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_channel_that_nothing_reads_goes_first_and_takes_nothing_with_it():
    model = trained(DEEP)
    unread = [3, 7, 11, 12]
    with torch.no_grad():  # channels of the last stage's sum, of which the head reads nothing, nor the blocks
        for layer in (model.features.conv, *(model.stage2.get_submodule(f"block{n}.body.expand.conv") for n in (2, 3))):
            layer.weight[:, unread] = 0
    narrow = DEEP.with_(stages=(DEEP.stages[0], Stage(MBConv(5, 3), 3, 20, 2)))
    found = inherit(model, narrow, images=IMAGES)
    assert difference(model, found) < 5e-3
    assert difference(model, inherit(model, narrow)) > 0.05  # by filters


def test_norms_keep_their_moments_where_channels_go():
    model = trained(SMALL)
    narrow = SMALL.with_(stages=(Stage(FusedMBConv(3, 1.5), 2, 16, 2), *SMALL.stages[1:]))
    found = inherit(model, narrow, images=IMAGES)
    maps = [model.stage1(model.stem(IMAGES)), found.stage1(found.stem(IMAGES))]
    means, deviations = ([m.detach().mean((0, 2, 3)) for m in maps], [m.detach().std((0, 2, 3)) for m in maps])
    assert torch.allclose(*means, atol=0.02)
    assert torch.allclose(*deviations, atol=0.05)


def test_the_knapsack_finds_what_trying_all_finds():
    random = torch.Generator().manual_seed(0)
    numbers = torch.rand(4, 4, 2, generator=random).double().tolist()
    blocks = [
        [Option(None, torch.nn.Identity()), *(Option(None, torch.nn.Identity(), (), *n) for n in b)] for b in numbers
    ]
    needed = 1.6
    found = cheapest(blocks, needed)
    best = min(
        sum(option.moved for option in tried)
        for tried in product(*blocks)
        if sum(option.spared for option in tried) >= needed
    )
    assert found is not None
    assert sum(option.spared for option in found) >= needed
    assert sum(option.moved for option in found) == pytest.approx(best, abs=0.02)
    assert cheapest(blocks, 4.1) is None


def test_a_cut_is_an_ordinary_network_within_the_budget():
    model = trained(DEEP)
    budget = Budget(macs=0.6 * cost(DEEP).macs)
    cut = Cutter(model, IMAGES, budget, importance(model, [IMAGES])).cut()
    network = cut.model.network
    assert budget.admits(budget.cost(network))
    assert parse_network(dump_network(network)) == network
    assert divergence(model(IMAGES), cut.model(IMAGES)) == pytest.approx(cut.moved, rel=1e-3)
    kept = [option for option in cut.options if option.stage is not None]
    assert len(kept) == len(network.stages)
    layers = Cutter(model, IMAGES, Budget(macs=0.9 * cost(DEEP).macs), {}, narrow=False).cut()
    assert set(layers.model.network.stages) <= set(apart(DEEP).stages)
    with pytest.raises(BudgetError, match="spare too little to bring it within the budget"):
        Cutter(model, IMAGES, Budget(macs=0.01 * cost(DEEP).macs), {}, narrow=False).cut()


def test_blocks_whose_weights_cannot_pass_stay_as_they_are_or_go():
    network = SMALL.with_(stages=(Stage(MixedMBConv((3, 5), 3), 3, 16, 2),))
    model = trained(network)
    cut = Cutter(model, IMAGES, Budget(macs=0.9 * cost(network).macs), importance(model, [IMAGES])).cut()
    assert len(cut.model.network.stages) == 2


def test_every_block_apart_computes_the_same():
    network = apart(DEEP)
    assert [stage.layers for stage in network.stages] == [1] * 5
    assert cost(network) == cost(DEEP)
