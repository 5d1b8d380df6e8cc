"""Whether confidence is accuracy: the reliability of its bins, and temperature scaling (Guo et al. 2017)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from compound.data import Source
from compound.errors import CompoundError, UsageError
from compound.evaluation.judge import evaluate
from compound.evaluation.result import BINS, Evaluation
from compound.execution import Execution
from compound.nn import ConvNet

COLDEST, HOTTEST = 0.05, 20.0  # temperatures beyond these mean that the hold-out says nothing
# Images that a temperature should be fitted on. Drawn from ten classes whose logits are 1.5 times too large, a
# temperature by 5 images leaves a larger loss than none in 40 of 100 draws, by 10 in 20, by 20 in 7, by 30 in 2.
ENOUGH = 20


@dataclass(frozen=True)
class Reliability:
    """One bin of confidence: how many images, their mean confidence, and the share that is right."""

    images: int
    confidence: float
    accuracy: float


def reliability(result: Evaluation) -> list[Reliability | None]:
    """The BINS equal bins of confidence from 0 to 1, None where there is no image."""
    right = result.hits(1).double()
    counts = torch.bincount(result.bins, minlength=BINS)
    confidence, accuracy = (torch.bincount(result.bins, v, BINS) / counts for v in (result.confidence.double(), right))
    columns = (counts.tolist(), confidence.tolist(), accuracy.tolist())
    return [Reliability(*one) if one[0] else None for one in zip(*columns, strict=True)]


def fit_temperature(result: Evaluation) -> float:
    """The temperature T under which softmax(logits / T) has the least cross-entropy on the images of `result`.

    The logarithms of probabilities serve as logits, since softmax does not see what all classes share. The loss is
    convex in 1 / T, so bisection on its slope finds the one minimum. Bounded by COLDEST and HOTTEST.
    """
    logits = result.probabilities.double().clamp_min(torch.finfo(torch.float).tiny).log()
    true = logits.gather(1, result.labels[:, None])[:, 0]

    def slope(inverse: float) -> float:
        expected = ((logits * inverse).softmax(1) * logits).sum(1)
        return (expected - true).mean().item()

    low, high = 1 / HOTTEST, 1 / COLDEST
    for _ in range(50):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    return float(1 / (low * high) ** 0.5)


def at_a_bound(temperature: float) -> str | None:
    """What it means that a fitted temperature is one of COLDEST and HOTTEST, if it is."""
    for bound, which in ((COLDEST, "lowest"), (HOTTEST, "highest")):
        if math.isclose(temperature, bound, rel_tol=1e-6):
            return f"temperature {bound:g} is the {which} that is tried: the held-out images are too few, or all alike"
    return None


def calibrate(model: ConvNet, holdout: Source, classes: tuple[str, ...], execution: Execution = Execution()) -> float:
    """Fit the temperature on `holdout`, fold it into `model`, in place, and return it.

    Raises `UsageError`, and leaves `model` as it is, where that is COLDEST: of images that are all named rightly the
    surer the better, and 100 % for everything would be kept.
    """
    temperature = fit_temperature(evaluate(model, holdout, classes, execution))
    if temperature < 1 and (doubt := at_a_bound(temperature)):
        raise UsageError(f"{doubt}; the weights stay as they are; train with more, such as --holdout 0.2")
    divide_logits(model, temperature)
    return temperature


_STRAIGHT = (nn.ReLU, nn.Identity, nn.AdaptiveAvgPool2d, nn.Flatten)  # f(x / T) = f(x) / T for T > 0


@torch.no_grad()
def divide_logits(model: ConvNet, temperature: float) -> None:
    """Fold `temperature` into the classifier, in place: every later logit is divided by it, every class keeps its rank.

    Raises `UsageError` where something after the last weights would bend the division.
    """
    layers = list(model.classifier.children())
    last = max(number for number, layer in enumerate(layers) if isinstance(layer, nn.Linear | nn.Conv2d))
    if not all(isinstance(layer, _STRAIGHT) for layer in layers[last + 1 :]):
        raise UsageError(f"{model.network.name} has an activation after its classifier that no temperature passes")
    if not temperature > 0:
        raise CompoundError(f"temperature {temperature} divides logits; use a number above 0")
    for parameter in layers[last].parameters():
        parameter.div_(temperature)


def tempered(result: Evaluation, temperature: float) -> Tensor:
    """The probabilities (images, classes) that `result` would have at another temperature."""
    logits = result.probabilities.double().clamp_min(torch.finfo(torch.float).tiny).log()
    return (logits / temperature).softmax(1).float()
