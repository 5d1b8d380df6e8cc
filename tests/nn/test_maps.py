"""The maps that class activation mapping reads: pooled and put through the last linear layer, they are the logits."""

import pytest
import torch
from torch import nn

from compound import ZOO, NetworkError, Scaling, scale
from compound.nn import build

# Networks whose logits are not a linear function of one pooled position have no class activation map in Zhou's sense.
POOLED = [name for name, n in ZOO.items() if not n.head.hidden and n.head.pool == 1 and not n.head.classify_maps]


def small(name):
    """The same network with a quarter of the layers and widths, at the smallest of some resolutions that leave maps."""
    factors = {"depth": 0.25, "width": 0.25}
    for dimension, _ in ZOO[name].unscalable:
        factors.pop(dimension, None)
    network = scale(ZOO[name], Scaling(**factors))
    for resolution in (64, 96):
        try:
            network.with_(resolution=resolution).blocks()
        except NetworkError:
            continue
        return network.with_(resolution=resolution)
    return network


def randomise(model):
    """Norms under which a misplaced one shows."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.1)
    return model.eval()


@pytest.mark.parametrize("name", POOLED)
def test_features_pooled_through_the_last_layer_are_the_logits(name):
    network = small(name)
    model = randomise(build(network, classes=5, seed=0))
    x = torch.randn(2, 3, network.resolution, network.resolution)
    with torch.inference_mode():
        maps, logits = model.forward_features(x), model(x)
        linear = model.classifier.linear
        # a map a class, whose mean over positions plus the bias is the logit
        classes = torch.einsum("kc,nchw->nkhw", linear.weight, maps)
    assert maps.dim() == 4
    assert maps.shape[1] == linear.in_features
    assert torch.allclose(classes.mean((2, 3)) + linear.bias, logits, rtol=1e-4, atol=1e-4 * logits.abs().max().item())
