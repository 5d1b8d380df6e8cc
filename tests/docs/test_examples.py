"""The examples do what they say, as a user's own files outside the package."""

import importlib.util
from pathlib import Path

import pytest
import torch

from compound import CompoundRule, Network, cost, dump_network, parse_network, scale
from compound.nn import build

EXAMPLES = Path(__file__).parents[2] / "examples"


def load(name: str):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def short(name: str) -> bool:
    """At most 40 lines that are not empty."""
    source = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
    return len([line for line in source.splitlines() if line.strip()]) <= 40


def learns(network: Network) -> bool:
    """Whether some steps on one batch lower the loss; the built network has the parameters that are counted."""
    model = build(network.with_(classes=4), seed=0)
    assert sum(p.numel() for p in model.parameters()) == cost(network.with_(classes=4)).params
    images, labels = torch.randn(16, 3, 32, 32, generator=torch.Generator().manual_seed(0)), torch.arange(16) % 4
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    losses = []
    for _ in range(8):
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return losses[-1] < losses[0]


@pytest.mark.long
def test_a_family_of_ones_own_in_forty_lines():
    assert short("ghostnet")
    network = load("ghostnet").GHOSTNET
    counted = cost(network)
    # timm 1.0.31 `ghostnet_100`: parameters of the live model, multiply-adds by torch's FlopCounterMode.
    assert (counted.params, counted.macs) == (5_182_508, 141_150_512)
    larger = scale(network, CompoundRule()(1))
    assert larger.stages[1].block.mid == 56  # 48 · 1.1, to a multiple of 8
    assert parse_network(dump_network(larger)) == larger
    assert learns(scale(network.with_(resolution=64), CompoundRule()(-4)))
