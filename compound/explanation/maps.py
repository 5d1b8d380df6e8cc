"""Class activation maps: from the network's own head, or of any layer by gradients or scores.

N images, C channels and h × w positions of the last maps, K chosen classes, R the resolution in px
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compound.errors import UsageError
from compound.explanation.channels import BY_GRADIENTS, score_cam
from compound.explanation.layers import run_from
from compound.network import Network
from compound.nn import ConvNet, evaluating

Method = Literal["cam", "grad-cam", "grad-cam++", "layer-cam", "score-cam"]
METHODS: tuple[Method, ...] = get_args(Method)


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
    layer: str | None = None,
) -> Explanation:
    """The maps of `classes` (N, K), or of the `top` most probable ones, for preprocessed images (N, C, R, R).

    `cam` (Zhou et al. 2016, Equation 2) weighs the last maps with the classifier's own weights; networks with hidden
    layers behind the pooling have no such weights and get `grad-cam`, which is also what `method=None` falls back to.
    The other methods (see `compound.explanation.channels`) read the maps of `layer`, a name of `model.named_modules()`,
    by default those that `model.forward_features` returns. The model keeps its modes, gradients and flags. Raises
    `UsageError` for a layer that is not there or gives no maps, and for `cam` of a network or layer that has none.
    """
    linear = layer is None and has_class_maps(model.network)
    method = method or ("cam" if linear else "grad-cam")
    if method == "cam" and layer is not None:
        raise UsageError("cam reads the last maps alone; leave the layer out, or use grad-cam")
    if method == "cam" and not linear:
        raise UsageError(
            f"{model.network.name} has no class activation map: layers lie between pooling and classifier; use grad-cam"
        )
    with evaluating(model):
        if method == "cam":
            with torch.no_grad():
                features = model.forward_features(images)
                logits = model.classifier(features)
            classes = _chosen(logits, classes, top)
            maps, bias = _class_maps(model, features, classes)
            return Explanation(method, maps.detach(), classes, logits, bias)
        with torch.inference_mode(False), torch.enable_grad():
            leaf, logits = run_from(model, images.clone(), layer)
            classes = _chosen(logits, classes, top).clone()
            if method == "score-cam":
                maps = score_cam(model, images, leaf.detach(), classes)
            else:
                maps = _gradient_maps(BY_GRADIENTS[method], leaf, logits.gather(1, classes))
    return Explanation(method, maps.detach(), classes, logits.detach(), torch.full(classes.shape, torch.nan))


def _chosen(logits: Tensor, classes: Tensor | None, top: int) -> Tensor:
    """The classes that are asked for, (N, K)."""
    return logits.topk(min(top, logits.shape[1])).indices if classes is None else classes


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


def _gradient_maps(of: Callable[[Tensor, Tensor], Tensor], leaf: Tensor, logits: Tensor) -> Tensor:
    """What `of` makes of the slopes of each column of `logits` (N, K) and of the maps, (N, K, h, w)."""
    maps = []
    for column in range(logits.shape[1]):
        (slope,) = torch.autograd.grad(logits[:, column].sum(), leaf, retain_graph=True)
        maps.append(of(slope, leaf.detach()))
    return torch.stack(maps, 1)
