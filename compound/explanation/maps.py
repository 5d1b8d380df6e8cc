"""Class activation maps from the network's own head.

N images, C channels and h × w positions of the last maps, K chosen classes, R the resolution in px
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compound.errors import UsageError
from compound.network import Network
from compound.nn import ConvNet, evaluating

Method = Literal["cam", "grad-cam"]
METHODS: tuple[Method, ...] = ("cam", "grad-cam")


@dataclass(frozen=True)
class Explanation:
    """`maps` (N, K, h, w) say how much each position speaks for the classes (N, K); `logits` are (N, classes).

    For `cam`, a map's mean over positions plus `bias` (N, K) is the class's logit. `method` is the one used.
    """

    method: Method
    maps: Tensor
    classes: Tensor
    logits: Tensor
    bias: Tensor

    @property
    def probabilities(self) -> Tensor:
        """Of the chosen classes, (N, K)."""
        return self.logits.softmax(1).gather(1, self.classes)

    def heat(self, height: int, width: int) -> Tensor:
        """What speaks for each class, bilinearly at (N, K, height, width): 0 for nothing, 1 for a map's strongest."""
        large = F.interpolate(self.maps, (height, width), mode="bilinear", align_corners=False).clamp_min(0)
        return large / large.amax((2, 3), keepdim=True).clamp_min(torch.finfo(large.dtype).tiny)


def has_class_maps(network: Network) -> bool:
    """Whether the class scores are linear in the last maps' means, so that CAM is exact."""
    head = network.head
    return head.classify_maps or (not head.hidden and head.pool == 1 and not head.norm_pooled)


def explain(
    model: ConvNet,
    images: Tensor,
    classes: Tensor | None = None,
    *,
    top: int = 1,
    method: Method | None = None,
) -> Explanation:
    """The maps of `classes` (N, K), or of the `top` most probable ones, for preprocessed images (N, C, R, R).

    `cam` (Zhou et al. 2016, Equation 2) weighs the last maps with the classifier's own weights; networks with hidden
    layers behind the pooling have no such weights and get `grad-cam` (Selvaraju et al. 2017, Equations 1 and 2,
    before the ReLU), which is also what `method=None` falls back to. No layer is named: it is the map that
    `model.forward_features` returns. The model keeps its modes, gradients and flags.
    """
    if method == "cam" and not has_class_maps(model.network):
        raise UsageError(
            f"{model.network.name} has no class activation map: layers lie between pooling and classifier; use grad-cam"
        )
    method = method or ("cam" if has_class_maps(model.network) else "grad-cam")
    with evaluating(model):
        with torch.no_grad():
            features = model.forward_features(images)
            logits = model.classifier(features)
        if classes is None:
            classes = logits.topk(min(top, logits.shape[1])).indices
        if method == "grad-cam":
            maps, bias = _gradient_maps(model, features, classes), torch.full(classes.shape, torch.nan)
        else:
            maps, bias = _class_maps(model, features, classes)
    return Explanation(method, maps.detach(), classes, logits, bias)


@torch.no_grad()
def _class_maps(model: ConvNet, features: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """M_c(x, y) = Σ_k w_k^c f_k(x, y), and the bias that pooling leaves to add."""
    if model.network.head.classify_maps:  # the scores are maps already; their bias lies within
        scores = features
        for layer in model.classifier.children():
            if isinstance(layer, nn.AdaptiveAvgPool2d):
                break
            scores = layer(scores)
        chosen = classes[:, :, None, None].expand(-1, -1, *scores.shape[2:])
        return scores.gather(1, chosen), torch.zeros(classes.shape, device=features.device)
    linear = model.classifier.get_submodule("linear")
    assert isinstance(linear, nn.Linear)
    maps = torch.einsum("nkc,nchw->nkhw", linear.weight[classes], features)
    return maps, linear.bias[classes]


def _gradient_maps(model: ConvNet, features: Tensor, classes: Tensor) -> Tensor:
    """Σ_k α_k^c f_k with α the mean of ∂ logit / ∂ f_k over positions: only the head is differentiated."""
    maps = []
    with torch.inference_mode(False), torch.enable_grad():
        leaf = features.clone().requires_grad_()
        logits = model.classifier(leaf).gather(1, classes.clone())
        for column in range(classes.shape[1]):
            (slope,) = torch.autograd.grad(logits[:, column].sum(), leaf, retain_graph=True)
            maps.append((slope.mean((2, 3), keepdim=True) * leaf.detach()).sum(1))
    return torch.stack(maps, 1)
