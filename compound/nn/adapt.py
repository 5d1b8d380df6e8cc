"""A trained model for images of other channels."""

import torch
from torch import nn

from compound.nn.build import ConvNet, build


@torch.no_grad()
def with_channels(model: ConvNet, channels: int) -> ConvNet:
    """`model` for images of `channels`: the first convolution gets the mean of its filters, rescaled.

    W'[o, i] = mean over i of W[o, i] · (old channels / new channels), so that an image whose new channels all hold the
    mean of the old ones gives the same maps up to what the filters made of colour; all other weights are the same.
    """
    if channels == model.channels:
        return model
    adapted = build(model.network.with_(channels=channels), seed=0)
    state = model.state_dict()
    first = next(name for name, module in model.named_modules() if isinstance(module, nn.Conv2d))
    weight = state[f"{first}.weight"]
    spread = weight.mean(1, keepdim=True) * (model.channels / channels)
    adapted.load_state_dict(state | {f"{first}.weight": spread.expand(-1, channels, -1, -1)})
    return adapted.train(model.training)
