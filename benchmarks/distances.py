"""Scores of strangers that need more than logits: distances of pooled features to those of the training images.

Each is (N,), the less, the stranger; measured by `benchmarks.strangers` and not part of the library.
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
