"""How much each channel of a layer speaks for a class: by gradients, or by what the network says of masked images.

N images, C channels and h × w positions of the maps, K chosen classes, R the resolution in px
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from compound.errors import UsageError
from compound.inference import chunk_size
from compound.nn import ConvNet

MOST_CHANNELS = 4096  # passes an image that Score-CAM may take


def grad_cam(slope: Tensor, maps: Tensor) -> Tensor:
    """Selvaraju et al. 2017, Equations 1 and 2 before the ReLU: Σ_k α_k f_k with α_k the mean of ∂ logit / ∂ f_k."""
    return (slope.mean((2, 3), keepdim=True) * maps).sum(1)


def grad_cam_plus_plus(slope: Tensor, maps: Tensor) -> Tensor:
    """Chattopadhay et al. 2018, Equations 10 and 19: Σ_k w_k f_k with w_k = Σ α_k relu(∂ logit / ∂ f_k).

    For the class score exp(logit), whose second and third derivatives are powers of the first where what follows is
    piecewise linear. The factor exp(logit), which all positions of a map share, is left out: it may be endless.
    """
    square = slope**2
    below = 2 * square + maps.sum((2, 3), keepdim=True) * square * slope
    weights = torch.where(below != 0, square / below, 0) * slope.clamp_min(0)
    return (weights.sum((2, 3), keepdim=True) * maps).sum(1)


def layer_cam(slope: Tensor, maps: Tensor) -> Tensor:
    """Jiang et al. 2021, Equations 6 and 7 before the ReLU: Σ_k relu(∂ logit / ∂ f_k) f_k, position by position."""
    return (slope.clamp_min(0) * maps).sum(1)


# From a slope and the maps, both (N, C, h, w), to a map (N, h, w).
BY_GRADIENTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "grad-cam": grad_cam,
    "grad-cam++": grad_cam_plus_plus,
    "layer-cam": layer_cam,
}


@torch.no_grad()
def score_cam(model: ConvNet, images: Tensor, maps: Tensor, classes: Tensor) -> Tensor:
    """Wang et al. 2020, Algorithm 1 before the ReLU: Σ_k α_k f_k, (N, K, h, w), of images (N, channels, R, R).

    α is the softmax over channels of the logits of the image under each map, which is enlarged and stretched from 0 to
    1. The logit of an empty image, which the paper subtracts, drops out of the softmax. C passes an image. Raises
    `UsageError` for more than `MOST_CHANNELS`.
    """
    if maps.shape[1] > MOST_CHANNELS:
        raise UsageError(
            f"score-cam takes {maps.shape[1]:,} passes of {model.network.name} for an image, one a channel, and "
            f"{MOST_CHANNELS:,} are the most; name a --layer with fewer channels, or another method"
        )
    chunk, found = chunk_size(model.network, images.device), []
    for image, features, asked in zip(images, maps, classes, strict=True):
        logits = torch.cat([model(image * _masks(part, image))[:, asked] for part in features.split(chunk)])
        found.append(torch.einsum("ck,chw->khw", logits.softmax(0), features))
    return torch.stack(found)


def _masks(features: Tensor, image: Tensor) -> Tensor:
    """Maps (C, h, w) at the size of the image, each from 0 to 1; a map that is even everywhere is 0."""
    large = F.interpolate(features[:, None], image.shape[1:], mode="bilinear", align_corners=False)
    low, high = large.amin((2, 3), keepdim=True), large.amax((2, 3), keepdim=True)
    return (large - low) / (high - low).clamp_min(torch.finfo(large.dtype).tiny)
