"""What only a GPU can show: the kernels as it computes them, and a training step by them."""

import pytest
import torch
import torch.nn.functional as F

from compound import ZOO, Scaling, scale
from compound.nn import build, lean

pytestmark = pytest.mark.gpu

if torch.cuda.is_available():  # Triton is slow to import, and these tests are collected everywhere
    from triton_cases import *  # noqa: F403


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_step_by_the_kernels_is_the_ordinary_one(monkeypatch):
    """Gradients of a small B0, lean and by kernels, against float64 on the processor."""
    from compound.kernels.gpu import depthwise, norm_act

    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    network = scale(ZOO["efficientnet-b0"], Scaling(depth=0.3, width=0.5))
    network = network.with_(resolution=64, classes=5, dropout=0.0, survival=1.0)
    images = torch.randn(8, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(8) % 5
    exact = build(network, seed=0).double().train()
    F.cross_entropy(exact(images.double()), labels).backward()
    ours = build(network, seed=0).train().to("cuda", memory_format=torch.channels_last)
    lean(ours)
    called = [counted(monkeypatch, norm_act, "backward"), counted(monkeypatch, depthwise, "to_weight")]
    x = images.cuda().contiguous(memory_format=torch.channels_last)
    F.cross_entropy(ours(x), labels.cuda()).backward()
    assert all(called)
    for (name, theirs), own in zip(exact.named_parameters(), ours.parameters(), strict=True):
        size = theirs.grad.abs().max().item()
        torch.testing.assert_close(own.grad.cpu().double(), theirs.grad, rtol=1e-2, atol=2e-3 * size, msg=name)


def counted(monkeypatch, room, name):
    """A list that grows with every call of room.name."""
    calls, before = [], getattr(room, name)
    monkeypatch.setattr(room, name, lambda *given: calls.append(1) or before(*given))
    return calls
