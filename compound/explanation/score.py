"""How good a map is: whether it lies on the object, and whether the network needs what it shows.

N images, R the resolution in px, P steps
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.transforms.v2.functional import gaussian_blur

from compound.nn import ConvNet, evaluating

STEPS = 20


@dataclass(frozen=True)
class Areas:
    """Areas under the curves of the class's probability (N,), from 0 to 1.

    `deletion`: pixels are taken away, the warmest first; small is good. `insertion`: they are put onto the blurred
    image; large is good.
    """

    deletion: Tensor
    insertion: Tensor


def energy_inside(heat: Tensor, mask: Tensor) -> Tensor:
    """The share of the heat (N, R, R) that lies within the mask (N, R, R), bool, from 0 to 1 (Wang et al. 2020).

    A map that knows nothing scores the share of the image that the mask covers.
    """
    total = heat.sum((1, 2))
    return torch.where(total > 0, (heat * mask).sum((1, 2)) / total.clamp_min(torch.finfo(heat.dtype).tiny), 0)


def deletion_insertion(model: ConvNet, images: Tensor, heat: Tensor, classes: Tensor, steps: int = STEPS) -> Areas:
    """Both areas (Petsiuk et al. 2018) for preprocessed images (N, C, R, R), heat (N, R, R) and a class each (N,).

    Deleted pixels become 0, which is the mean that preprocessing subtracts. The curves have `steps` + 1 points.
    """
    side = images.shape[-1]
    kernel = max(side // 40 * 2 + 1, 5)  # 11 at 224 px with deviation 5, as the original; small images need more
    blurred = gaussian_blur(images, [kernel, kernel], [kernel * 5 / 11] * 2)
    order = (
        heat.flatten(1).argsort(dim=1, descending=True, stable=True).argsort(dim=1).view_as(heat)
    )  # each pixel's rank
    deletion: list[Tensor] = []
    insertion: list[Tensor] = []
    with evaluating(model), torch.no_grad():
        for step in range(steps + 1):
            shown = (order < round(step / steps * side * side))[:, None]
            for curve, view in ((deletion, images * ~shown), (insertion, torch.where(shown, images, blurred))):
                curve.append(model(view).softmax(1).gather(1, classes[:, None])[:, 0])
    areas = (torch.trapezoid(torch.stack(curve), dx=1 / steps, dim=0) for curve in (deletion, insertion))
    return Areas(*areas)
