"""What a training minimises, and what it makes of a batch's labels.

N images, K classes
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms import v2

from compound.training.recipe import Recipe


def classification_loss(logits: Tensor, targets: Tensor, recipe: Recipe) -> Tensor:
    """The mean loss of `logits` (N, K) for class numbers (N,) or, of mixed images, probabilities (N, K).

    `bce` asks of every class by itself whether it is there (Wightman et al. 2021). Smoothing takes the same from a
    target's classes and gives it to all, whichever loss. Several labels an image (0 or 1 for each class) need `bce`.
    """
    if recipe.loss == "cross_entropy":
        if not recipe.class_weights:
            return F.cross_entropy(logits, targets, label_smoothing=recipe.label_smoothing)
        # Weighted, but a mean over images: torch's own would divide by the weights that this batch happens to have.
        weights = logits.new_tensor(recipe.class_weights)
        return F.cross_entropy(logits, targets, weights, label_smoothing=recipe.label_smoothing, reduction="sum") / len(
            logits
        )
    classes = logits.shape[1]
    if targets.dim() == 1:
        targets = F.one_hot(targets, classes).to(logits.dtype)
    smooth = targets * (1 - recipe.label_smoothing) + recipe.label_smoothing / classes
    return F.binary_cross_entropy_with_logits(logits, smooth.to(logits.dtype))


def hits(logits: Tensor, labels: Tensor) -> Tensor:
    """Whether the most probable class is the image's, (N,), or of several labels (N, K) one of them."""
    best = logits.argmax(1)
    return best == labels if labels.dim() == 1 else labels.gather(1, best[:, None])[:, 0] > 0


def distillation_loss(logits: Tensor, taught: Tensor, temperature: float) -> Tensor:
    """T² · KL(softmax(taught / T) ‖ softmax(logits / T)), the mean over the images (Hinton et al. 2015, Section 2)."""
    ours, theirs = (F.log_softmax(each.float() / temperature, dim=1) for each in (logits, taught))
    return F.kl_div(ours, theirs, reduction="batchmean", log_target=True) * temperature**2


def mixed(images: Tensor, labels: Tensor, classes: int, mixup: float, cutmix: float) -> tuple[Tensor, Tensor]:
    """float images (N, C, R, R) and labels (N,) as mixed images and probabilities (N, K), by torch's generator.

    Each image is mixed with its neighbour in the shuffled batch: blended by `mixup` (Zhang et al. 2018) or pasted over
    in a rectangle by `cutmix` (Yun et al. 2019); where both are above 0, one of the two as a coin says.
    """
    use_cutmix = cutmix > 0 and (mixup == 0 or bool(torch.rand(()) < 0.5))
    mix = v2.CutMix(alpha=cutmix, num_classes=classes) if use_cutmix else v2.MixUp(alpha=mixup, num_classes=classes)
    pixels, targets = mix(images, labels)
    return pixels, targets
