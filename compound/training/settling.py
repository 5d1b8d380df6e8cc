"""A network made smaller, its classifier brought near what the larger one says before its first step.

N images, F features, K classes
"""

import torch
from torch import Tensor

from compound.data import Source, subset
from compound.nn import ConvNet
from compound.training.probe import SOME, LinearProbe, features, last_linear

SETTLED_ON = 2048  # images that the classifier is fitted on
FEWEST = 10  # images; of fewer a fifth shows nothing
PENALTIES = tuple(10.0**power for power in range(-4, 5))  # of the mean variance of a feature; the last moves nothing


def settle(model: ConvNet, whole: ConvNet, source: Source, *, seed: int = 0) -> None:
    """Make `model` answer as `whole` does as far as its features allow, in place.

    Its last layer is moved to where its logits are nearest to those of `whole` on `source`, by least squares; no label
    is read. Nothing where the two know different classes or end in no linear layer.
    """
    if not ends_linear(model, whole) or len(source) < FEWEST:
        return
    order = torch.randperm(len(source), generator=torch.Generator().manual_seed(seed))[:SETTLED_ON]
    some = subset(source, order.numpy())
    given, taught = (features(one, some, one.classes, SOME).values for one in (model, whole))
    if len(given) != len(taught):
        return
    now, last = last_linear(model), last_linear(whole)
    with torch.no_grad():
        move = nearest(given, taught @ last.weight.T + last.bias - (given @ now.weight.T + now.bias))
        LinearProbe(now.weight + move.weight, now.bias + move.bias).into(model)


def ends_linear(*models: ConvNet) -> bool:
    """Whether all know equally many classes and end in a linear layer."""
    lasts = [list(model.classifier.children())[-1] for model in models]
    return all(isinstance(last, torch.nn.Linear) for last in lasts) and len({model.classes for model in models}) == 1


@torch.no_grad()
def nearest(values: Tensor, wanted: Tensor) -> LinearProbe:
    """The linear map from `values` (N, F) to `wanted` (N, K) with the least squares, by ridge regression.

    Its penalty is the one of PENALTIES with the least error on the last fifth of the images, when fitted on the others.
    """
    x, y = values.double(), wanted.double()
    cut = max(len(x) - len(x) // 5, 1)
    errors = []
    for penalty, weight, bias in ridges(x[:cut], y[:cut]):
        errors.append((float((x[cut:] @ weight + bias - y[cut:]).square().sum()), penalty))
    _, best = min(errors)
    ((_, weight, bias),) = ridges(x, y, (best,))
    return LinearProbe(weight.T.float().contiguous(), bias.float())


def ridges(x: Tensor, y: Tensor, penalties: tuple[float, ...] = PENALTIES) -> list[tuple[float, Tensor, Tensor]]:
    """Of each penalty: itself, the weights (F, K) and the biases (K,)."""
    mean, middle = x.mean(0), y.mean(0)
    centred = x - mean
    moments, crossed = centred.T @ centred / len(x), centred.T @ (y - middle) / len(x)
    values, vectors = torch.linalg.eigh(moments)
    turned, size = vectors.T @ crossed, values.clamp_min(0).mean().clamp_min(1e-30)
    found = []
    for penalty in penalties:
        weight = vectors @ (turned / (values.clamp_min(0) + penalty * size)[:, None])
        found.append((penalty, weight, middle - mean @ weight))
    return found
