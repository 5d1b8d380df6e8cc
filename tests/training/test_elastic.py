"""Elastic networks: sizes share the weights of the largest, and each step trains some."""

from dataclasses import replace

import torch
from tiny import TINY

from compound import cost, parse_network, scale
from compound.nn import build
from compound.nn.elastic import cut_out, within
from compound.training.elastic import RULE, Elastic, sized

WIDE = parse_network(TINY.replace("channels: 8}", "channels: 32}").replace("layers: 1", "layers: 2")).with_(
    classes=3, channels=1, resolution=16
)


def test_a_size_computes_what_the_network_cut_out_does_and_teaches_the_weights_it_shares():
    model = build(WIDE, seed=0).train()
    elastic = Elastic(model, -2.0)
    assert sized(WIDE, -2.0) == scale(WIDE, RULE(-2.0))
    images = torch.randint(0, 256, (6, 1, 16, 16), dtype=torch.uint8)
    assert elastic.part(-2.0).network.resolution < 16
    assert elastic.logits(-2.0, images).shape == (6, 3)
    same = WIDE.with_(stages=(replace(WIDE.stages[0], layers=1, channels=24),))  # of one resolution, to compare
    elastic.parts[sized(WIDE, -1.0)] = within(same).train()
    logits = elastic.logits(-1.0, images)
    pixels = (images.float() / 255 - 0.3) / 0.35
    assert torch.allclose(logits, cut_out(model, same).train()(pixels), atol=1e-4)
    before = model.stem.norm.running_mean.clone()
    logits.square().sum().backward()
    gradient = model.stage1.block1.project.conv.weight.grad
    assert gradient[:24].any()
    assert not gradient[24:].any()
    assert model.stage1.block2.body.project.conv.weight.grad is None
    assert torch.equal(model.stem.norm.running_mean, before)


def test_each_step_trains_the_smallest_and_another():
    elastic = Elastic(build(WIDE, seed=0), -2.0)
    torch.manual_seed(0)
    drawn = [elastic.drawn() for _ in range(40)]
    assert {first for first, _ in drawn} == {-2.0}
    assert all(-2 < second < 0 for _, second in drawn)
    assert len({second for _, second in drawn}) > 10
    logits = torch.randn(6, 3, requires_grad=True)
    elastic.loss(logits, torch.zeros(6, 1, 16, 16, dtype=torch.uint8)).backward()
    assert logits.grad is None  # who teaches learns nothing from it
    assert cost(sized(WIDE, -2.0)).macs < 0.5 * cost(WIDE).macs
