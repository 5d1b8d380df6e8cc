"""A linear classifier on a network's frozen features, by L-BFGS (Kornblith et al. 2019, Section 3; Appendix A.2).

N images, F features, K classes
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import mean, stdev

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compound.data import Preprocessing, Source, make_loader
from compound.data.chance import Purpose, hashes
from compound.data.folds import fold_of
from compound.data.source import Labels
from compound.data.split import stratified
from compound.errors import CompoundError, UsageError
from compound.evaluation.statistics import wilson
from compound.execution import Execution
from compound.inference import refuse_no_numbers
from compound.nn import ConvNet, build
from compound.training.losses import hits

PENALTIES = tuple(10 ** (-6 + 11 * i / 44) for i in range(45))  # 45 from 1e-6 to 1e5, evenly by logarithm
SOME = Execution(batch=64)
STEPS = 100  # of L-BFGS a penalty; each starts where the one before ended


@dataclass(frozen=True)
class Features:
    """What the classifier of `classes` reads of each readable image: values (N, F), labels (N,), positions (N,)."""

    values: Tensor
    labels: Tensor
    indices: Tensor
    classes: int

    def __getitem__(self, rows: Tensor | Labels) -> "Features":
        rows = torch.as_tensor(rows)
        return Features(self.values[rows], self.labels[rows], self.indices[rows], self.classes)

    def __len__(self) -> int:
        return len(self.labels)


def joined(parts: list[Features]) -> Features:
    """Several sources' features as one; positions are those within each source."""
    columns = zip(*((p.values, p.labels, p.indices) for p in parts), strict=True)
    values, labels, indices = (torch.cat(column) for column in columns)
    return Features(values, labels, indices, parts[0].classes)


def last_linear(model: ConvNet) -> nn.Linear:
    """The layer that makes the logits; raises `UsageError` where there is none (SqueezeNet classifies maps)."""
    *_, last = model.classifier.children()
    if not isinstance(last, nn.Linear):
        raise UsageError(f"{model.network.name} does not end in a linear classifier; probe another network")
    return last


@torch.no_grad()
def features(model: ConvNet, source: Source, classes: int, execution: Execution = SOME) -> Features:
    """Everything before the last linear layer, on every readable image of `source`, unaugmented and in order.

    `classes`: of the data, which are others than the model's where its classifier is to be replaced.
    """
    where, was_training = execution.where, model.training
    last_linear(model)
    before = list(model.classifier.children())[:-1]
    preprocessing = Preprocessing.of(model.network)
    model.to(where).to(memory_format=torch.channels_last).eval()
    damage, parts = execution.damage_log(), []
    try:
        for one in make_loader(source, preprocessing, execution.batch, workers=execution.workers_for(source)):
            damage.add(one)
            images = preprocessing.normalise(one.images.to(where)).contiguous(memory_format=torch.channels_last)
            x = model.forward_features(images)
            for part in before:
                x = part(x)
            values = x.flatten(1).float().cpu()
            refuse_no_numbers(model.network, values, [source.path(index) for index in one.indices.tolist()])
            parts.append((values, one.labels, one.indices))
    finally:
        model.train(was_training)
    if not any(len(labels) for _, labels, _ in parts):
        raise CompoundError("not one image could be read; check the paths and the files")
    values, labels, indices = (torch.cat(column) for column in zip(*parts, strict=True))
    return Features(values, labels, indices, classes)


@dataclass(frozen=True)
class LinearProbe:
    """Logits of features: values @ weight.T + bias; weight (K, F), bias (K,)."""

    weight: Tensor
    bias: Tensor

    def accuracy(self, given: Features) -> float:
        return hits(self.logits(given), given.labels).float().mean().item()

    def loss(self, given: Features) -> float:
        return loss_of(self.logits(given), given.labels).item()

    def logits(self, given: Features) -> Tensor:
        return given.values @ self.weight.T + self.bias

    def into(self, model: ConvNet) -> None:
        """Make it the classifier of `model`."""
        with torch.no_grad():
            last_linear(model).weight.copy_(self.weight)
            last_linear(model).bias.copy_(self.bias)


def loss_of(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of logits (N, K) for labels (N,); of several labels (N, K) the sum of each class's own."""
    if labels.dim() == 1:
        return F.cross_entropy(logits, labels)
    return F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype), reduction="sum") / len(logits)


def fit_path(given: Features, penalties: tuple[float, ...] = PENALTIES) -> Iterator[tuple[float, LinearProbe]]:
    """Logistic regressions with mean cross-entropy + penalty / (2 N) · ‖W‖², from the largest penalty to the smallest.

    Features are first centred and divided by their common deviation; what is returned reads them as they are.
    """
    centre = given.values.mean(0)
    scale = (given.values - centre).square().mean().sqrt().clamp_min(1e-12)
    x = (given.values - centre) / scale
    weight = torch.zeros(given.classes, x.shape[1], requires_grad=True)
    bias = torch.zeros(given.classes, requires_grad=True)
    for penalty in sorted(penalties, reverse=True):
        optimizer = torch.optim.LBFGS(
            [weight, bias], max_iter=STEPS, tolerance_grad=1e-5, history_size=10, line_search_fn="strong_wolfe"
        )

        def closure(optimizer: torch.optim.Optimizer = optimizer, penalty: float = penalty) -> Tensor:
            optimizer.zero_grad()
            loss = loss_of(x @ weight.T + bias, given.labels) + penalty / (2 * len(x)) * weight.square().sum()
            loss.backward()
            return loss

        optimizer.step(closure)
        w, b = weight.detach() / scale, bias.detach()
        yield penalty, LinearProbe(w.clone(), b - w @ centre)


def fit_linear(given: Features, penalty: float) -> LinearProbe:
    """The regression of one penalty."""
    return next(fit_path(given, (penalty,)))[1]


def choose_penalty(given: Features, seed: int = 0, held: Features | None = None) -> float:
    """The penalty with the most right answers on `held`, or on a fifth of each class that is set aside.

    Among equals, the one with the smallest loss there.
    """
    if held is None:
        kept, taken = stratified(given.labels.numpy(), 0.2, seed)
        given, held = given[kept], given[taken]
    scores = [(one.accuracy(held), -one.loss(held), penalty) for penalty, one in fit_path(given)]
    return max(scores)[2]


def classified(model: ConvNet, given: Features, seed: int = 0) -> ConvNet:
    """`model` with a classifier fitted on all of `given`, its penalty chosen on a fifth of it."""
    built = build(model.network.with_(classes=given.classes), seed=seed)
    own = f"classifier.{list(model.classifier.named_children())[-1][0]}."
    built.load_state_dict({n: t for n, t in model.state_dict().items() if not n.startswith(own)}, strict=False)
    fit_linear(given, choose_penalty(given, seed)).into(built)
    return built.eval()


@dataclass(frozen=True)
class Draws:
    """Accuracies of repeated experiments, or of one on `images` images."""

    accuracies: tuple[float, ...]
    penalties: tuple[float, ...]
    images: int | None = None

    @property
    def mean(self) -> float:
        return mean(self.accuracies)

    def interval(self) -> tuple[float, float]:
        """95 %: Wilson's over images that were each tested once, else the mean ± 1.96 standard errors of the draws."""
        if self.images is not None:
            return wilson(self.mean, self.images)
        error = stdev(self.accuracies) / math.sqrt(len(self.accuracies)) if len(self.accuracies) > 1 else math.nan
        return self.mean - 1.96 * error, self.mean + 1.96 * error


def probe_test(parts: list[Features], seed: int = 0) -> Draws:
    """Learned from all parts but the last, tested on that; three parts: the penalty is chosen on the second."""
    *learned, test = parts
    held = learned[1] if len(learned) > 1 else None
    penalty = choose_penalty(learned[0], seed, held)
    return Draws((fit_linear(joined(learned), penalty).accuracy(test),), (penalty,), len(test))


def out_of_fold(given: Features, fold: Labels, seed: int = 0) -> tuple[Draws, Tensor]:
    """Accuracies by fold, and the probabilities (N, K) that each image has from the classifier that never saw it.

    `fold` (N,) says which part each is in; the penalty of each fold is chosen within its training part.
    """
    accuracies, penalties = [], []
    probabilities = torch.empty(len(given), given.classes)
    for number in range(int(fold.max()) + 1):
        train, tested = given[np.flatnonzero(fold != number)], np.flatnonzero(fold == number)
        penalties.append(choose_penalty(train, seed))
        fitted = fit_linear(train, penalties[-1])
        accuracies.append(fitted.accuracy(given[tested]))
        probabilities[tested] = fitted.logits(given[tested]).softmax(1)
    return Draws(tuple(accuracies), tuple(penalties), len(given)), probabilities


def cross_validate(given: Features, folds: int, seed: int = 0) -> Draws:
    """k-fold cross-validation, stratified."""
    return out_of_fold(given, fold_of(given.labels.numpy(), folds, seed), seed)[0]


def few_shot(given: Features, shots: int, draws: int, seed: int = 0, penalty: float = 1.0) -> Draws:
    """`draws` times: `shots` random images of each class to learn from, all others to test."""
    labels, accuracies = given.labels.numpy(), []
    smallest = np.bincount(labels, minlength=given.classes).min()
    if not 0 < shots < smallest:
        raise UsageError(f"shots {shots} is not possible where a class has {smallest} images; use 1 to {smallest - 1}")
    for draw in range(draws):
        order = np.argsort(hashes(seed, draw, np.arange(len(given)), Purpose.SPLIT), kind="stable")
        taken = np.concatenate([order[labels[order] == label][:shots] for label in range(given.classes)])
        rest = np.setdiff1d(order, taken)
        accuracies.append(fit_linear(given[taken], penalty).accuracy(given[rest]))
    return Draws(tuple(accuracies), (penalty,) * draws)
