"""A network in consecutive parts: balanced, and the same training as in one process."""

from itertools import combinations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from processes import run_forked

from compound import ZOO, Scaling, scale
from compound.errors import UsageError
from compound.nn import build
from compound.training.pipeline import balanced, split

STEPS, IMAGES, MICRO = 2, 8, 4

PROCESS = """
import json, sys
import torch, torch.distributed as dist, torch.nn.functional as F
from test_pipeline import STEPS, batch, small
from compound.nn import build
from compound.training.pipeline import Pipeline

name, schedule = sys.argv[1:]
torch.set_num_threads(1)
dist.init_process_group("gloo")
model = build(small(name).with_(classes=5), seed=0).double().train()
pipeline = Pipeline(model, F.cross_entropy, 4, torch.device("cpu"), schedule)
optimizer = torch.optim.SGD(pipeline.parameters(), 0.05, momentum=0.9)
losses = []
for number in range(STEPS):
    optimizer.zero_grad()
    losses.append(pipeline.step(*batch(number)))
    optimizer.step()
state = pipeline.state_dict()
if dist.get_rank() == 1:
    torch.save({"losses": losses, "state": state}, "pipelined.pt")
dist.destroy_process_group()
"""


def small(name):
    """Little enough to train here, with all that matters: gates and residuals, or cells that read two maps."""
    if name == "efficientnet":
        net = scale(ZOO["efficientnet-b0"], Scaling(depth=0.3, width=0.25))
    else:
        net = scale(ZOO["amoebanet-b-6-512"], Scaling(depth=1 / 6, width=0.05))
    return net.with_(resolution=32, dropout=0.0, survival=1.0)


def batch(number):
    made = torch.Generator().manual_seed(number)
    return torch.randn(IMAGES, 3, 32, 32, generator=made, dtype=torch.float64), torch.randint(
        0, 5, (IMAGES,), generator=made
    )


def trained_alone(name):
    """The same steps in one process: micro-batch after micro-batch, gradients of their mean.

    In float64, because norms over two images at a time make much of the last digits.
    """
    model = build(small(name).with_(classes=5), seed=0).double().train()
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    losses = []
    for number in range(STEPS):
        optimizer.zero_grad()
        parts = [F.cross_entropy(model(x), y) for x, y in zip(*(t.chunk(MICRO) for t in batch(number)), strict=True)]
        loss = torch.stack(parts).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, model.state_dict()


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("name", "schedule"), [pytest.param("efficientnet", "1f1b", marks=pytest.mark.slow), ("amoebanet", "gpipe")]
)
def test_two_processes_train_as_one(tmp_path, name, schedule):
    script = tmp_path / "process.py"
    script.write_text(PROCESS)
    done = run_forked([script, name, schedule], tmp_path, 2, ("pytest", "torch.distributed.pipelining"))
    assert done.returncode == 0, done.stderr
    found = torch.load(tmp_path / "pipelined.pt", weights_only=True)
    losses, state = trained_alone(name)
    np.testing.assert_allclose(found["losses"], losses, rtol=1e-9)
    assert found["state"].keys() == state.keys()
    for tensor in state:
        torch.testing.assert_close(found["state"][tensor], state[tensor], rtol=1e-6, atol=1e-9)


def test_spans_are_the_best_of_all(monkeypatch):
    rng = np.random.default_rng(0)
    for parts in (1, 2, 3, 5):
        for _ in range(20):
            costs = rng.integers(0, 50, rng.integers(parts, 9)).tolist()
            ends = balanced(costs, parts)
            assert len(ends) == parts
            assert ends[-1] == len(costs)
            every = (sorted(cut) for cut in combinations(range(1, len(costs)), parts - 1))
            assert worst(costs, ends) == min(worst(costs, [*cut, len(costs)]) for cut in every)


def worst(costs, ends):
    spans = list(zip([0, *ends[:-1]], ends, strict=True))
    assert all(a < b for a, b in spans)
    return max(sum(costs[a:b]) for a, b in spans)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("efficientnet-b0", 2), ("efficientnet-b0", 4), ("efficientnet-b7", 8), ("resnet-50", 4), ("nasnet-a-large", 4),
        ("amoebanet-b-6-512", 2), ("amoebanet-b-6-512", 4),
    ],
)  # fmt: skip
def test_parts_are_balanced_by_counted_cost(name, parts):
    found = split(ZOO[name], parts)
    assert found.imbalance < 0.15
    assert found.parts[0][0] == "stem"
    assert len(found.macs) == parts
    assert f"part {parts - 1}: " in str(found)


def test_more_parts_than_blocks_are_refused():
    with pytest.raises(UsageError, match="efficientnet-b0 has 18 blocks and cannot be split into 19 parts; use fewer"):
        split(ZOO["efficientnet-b0"], 19)
