"""Scores of strangers that are measured and not part of the library: of logits, and of pooled features, which exported
files do not give out.

Each is (N,), the less, the stranger; measured by `benchmarks.strangers`.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compound.data import Preprocessing, Source, make_loader
from compound.nn import ConvNet, evaluating

Score = Callable[[Tensor, Tensor], Tensor]  # of features (N, C) and logits (N, classes)
CLIPPED = 0.9  # quantile of the training features at which ReAct clips


def features_of(model: ConvNet, source: Source) -> Tensor:
    """Pooled maps in double precision, (N, C)."""
    preprocessing = Preprocessing.of(model.network)
    with evaluating(model), torch.inference_mode():
        batches = make_loader(source, preprocessing, 256)
        return torch.cat(
            [model.forward_features(preprocessing.normalise(one.images)).mean((2, 3)) for one in batches]
        ).double()


def logit_scores(training: Tensor, labels: NDArray[np.int64]) -> dict[str, Score]:
    """By name; `training` logits (N, K) and labels (N,)."""
    classes, count = torch.from_numpy(labels), training.shape[1]
    means = torch.stack([training[classes == one].mean(0) for one in range(count)])
    within = inverse(training - means[classes])
    own = [inverse(training[classes == one] - means[one]) for one in range(count)]
    usual = torch.stack([training.softmax(1)[classes == one].mean(0) for one in range(count)]).log()

    def generalised_entropy(_: Tensor, logits: Tensor, gamma: float = 0.1) -> Tensor:
        chances = logits.softmax(1)
        return -(chances**gamma * (1 - chances).clamp_min(1e-12) ** gamma).sum(1)

    def matching(_: Tensor, logits: Tensor) -> Tensor:
        said = logits.log_softmax(1)
        return -torch.stack([(said.exp() * (said - one)).sum(1) for one in usual], 1).amin(1)

    def mahalanobis(_: Tensor, logits: Tensor) -> Tensor:
        return -torch.stack([squared(logits - mean, within) for mean in means], 1).amin(1)

    def quadratic(_: Tensor, logits: Tensor) -> Tensor:
        pairs = zip(means, own, strict=True)
        return torch.stack([metric.logdet() - squared(logits - mean, metric) for mean, metric in pairs], 1).amax(1)

    return {
        "GEN": generalised_entropy,  # Liu et al. 2023, Equation 1, of all classes
        "KL matching": matching,  # Hendrycks et al. 2022, Section 4
        "Mahalanobis of logits": mahalanobis,
        "logits, each class its covariance": quadratic,
        "nearest neighbour of logits": lambda _, logits: -torch.cdist(logits, training).amin(1),
    }


def feature_scores(model: ConvNet, training: Tensor, labels: NDArray[np.int64]) -> dict[str, Score]:
    """By name, of a network with one linear layer behind pooling; `training` features (N, C) and labels (N,)."""
    near, classes = torch.nn.functional.normalize(training), torch.from_numpy(labels)
    means = torch.stack([training[classes == one].mean(0) for one in range(model.classes)])
    linear = model.classifier.get_submodule("linear")
    weight, bias = linear.weight.detach().double(), linear.bias.detach().double()
    within, around = inverse(training - means[classes]), inverse(training - training.mean(0))
    clip = training.flatten()[:: -(-training.numel() // 2**24)].quantile(CLIPPED)

    def mahalanobis(features: Tensor, _: Tensor) -> Tensor:
        return -torch.stack([squared(features - mean, within) for mean in means], 1).amin(1)

    return {
        "max-softmax": lambda _, logits: logits.softmax(1).amax(1),  # Hendrycks & Gimpel 2017
        "feature norm, times energy": lambda features, logits: features.norm(dim=1) * logits.logsumexp(1),
        "energy, clipped features": lambda features, _: (features.clamp_max(clip) @ weight.T + bias).logsumexp(1),
        # Sun et al. 2022: distance to the k-th nearest of the training images, features of length 1
        "nearest neighbour": lambda features, _: -torch.cdist(torch.nn.functional.normalize(features), near).amin(1),
        "Mahalanobis": mahalanobis,  # Lee et al. 2018, of the last features alone
        "relative Mahalanobis": lambda features, logits: (  # Ren et al. 2021
            mahalanobis(features, logits) + squared(features - training.mean(0), around)
        ),
    }  # fmt: skip


def inverse(centred: Tensor) -> Tensor:
    """The inverse of the covariance of rows (N, C), with a millionth of its mean variance added."""
    covariance = centred.T @ centred / len(centred)
    return torch.linalg.inv(covariance + 1e-6 * covariance.diagonal().mean() * torch.eye(len(covariance)).double())


def squared(rows: Tensor, metric: Tensor) -> Tensor:
    return torch.einsum("nc,cd,nd->n", rows, metric, rows)
