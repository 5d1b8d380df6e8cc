"""One step against the gradient lowers the loss, for one network of every family."""

import pytest
import torch
import torch.nn.functional as F

from compound import ZOO, NetworkError, Scaling, scale
from compound.nn import build


def small(name):
    """Narrow, shallow, without chance, at the smallest of some resolutions that leave a map to pool."""
    factors = {"depth": 0.2, "width": 0.15}
    for dimension, _ in ZOO[name].unscalable:
        factors.pop(dimension, None)
    network = scale(ZOO[name], Scaling(**factors)).with_(dropout=0.0, survival=1.0)
    for resolution in (48, 64, 80, 96):
        try:
            if network.with_(resolution=resolution).blocks()[-1].input[1] > 1:
                return network.with_(resolution=resolution)
        except NetworkError:
            continue
    return network


@pytest.mark.long
@pytest.mark.parametrize("family", ZOO.families())
def test_one_step_lowers_the_loss(family):
    network = small(ZOO.families()[family][0].name)
    model = build(network.with_(classes=4), seed=0).train()
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(8, 3, network.resolution, network.resolution, generator=generator)
    labels = torch.arange(8) % 4
    before = F.cross_entropy(model(images), labels)
    before.backward()
    slope = sum(p.grad.square().sum() for p in model.parameters())
    with torch.no_grad():
        for p in model.parameters():
            p -= 0.05 * before.item() / slope * p.grad  # so long that a straight line would fall by a twentieth
        after = F.cross_entropy(model(images), labels)
    assert slope > 0
    assert after < before
