"""Norms that are drawn, since fresh ones change nothing and hide a misplaced one; another library's weights taken over."""

import torch
from torch import nn

from compound import ZOO
from compound.nn import build, import_weights


def randomise(model):
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.1)
    return model


def taken_over(name, state):
    """The network with the tensors of another library, and images; a state dict sorted by alphabet gives the same."""
    model, by_alphabet = build(ZOO[name]).eval(), build(ZOO[name]).eval()
    import_weights(model, state)
    import_weights(by_alphabet, dict(sorted(state.items())))
    x = torch.randn(2, 3, 96, 96)
    with torch.inference_mode():
        assert torch.equal(by_alphabet(x), model(x))
    return model, x
