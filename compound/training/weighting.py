"""Weights of classes in the loss: for classes of unequal size, and for a target unlike the source."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from compound.data import DataSet
from compound.data.spec import HELD
from compound.documents import damaged, finite_number, read_json
from compound.errors import UsageError
from compound.execution import Execution
from compound.inference import classify
from compound.nn import ConvNet, load_weights

TARGET = "target:"


def balanced(data: DataSet) -> tuple[float, ...]:
    """1 / frequency: every class weighs the same; the mean over the training images is one."""
    counts = torch.bincount(torch.from_numpy(data.train.labels), minlength=len(data.classes)).double()
    return normalised(1 / counts.clamp_min(1), counts)


def adaptive(
    model: ConvNet, classes: tuple[str, ...], target: DataSet, execution: Execution = Execution()
) -> dict[str, float]:
    """Domain-adaptive transfer (Ngiam et al. 2018, Section 3.2): how often a source-trained model sees each of its
    classes in the target's training images, P_t(y) = mean of p(y | x). See `importance` for the weights.
    """
    images = target.train
    parts = [p.sum(0) for p, _, _ in classify(model, images, execution.damage_log(), execution)]
    return dict(zip(classes, (torch.stack(parts).sum(0) / len(images)).tolist(), strict=True))


def importance(data: DataSet, shares: dict[str, float]) -> tuple[float, ...]:
    """P_t(y) / P_s(y) for the classes of the source `data`: source examples count as the target would draw them."""
    missing = [name for name in data.classes if name not in shares]
    if missing:
        raise UsageError(f"the class weights have no {', '.join(missing[:5])}; give one number for each class")
    counts = torch.bincount(torch.from_numpy(data.train.labels), minlength=len(data.classes)).double()
    wanted = torch.tensor([shares[name] for name in data.classes], dtype=torch.float64)
    if not (wanted >= 0).all() or wanted.sum() <= 0:
        raise UsageError("the class weights are not all numbers from 0 with one above; give shares of the target")
    return normalised(wanted / counts.clamp_min(1), counts)


def normalised(weights: Tensor, counts: Tensor) -> tuple[float, ...]:
    """`weights` times a number, so that their mean over the images, `counts` of each class, is one."""
    return tuple((weights * counts.sum() / (weights * counts).sum()).tolist())


def find_class_weights(
    spec: str,
    data: DataSet,
    weights: str | Path | None = None,
    execution: Execution = Execution(),
) -> tuple[float, ...]:
    """`balanced`, `target:DATA`, or a JSON file of shares by class name, such as {"cat": 0.7, "dog": 0.3}.

    With `target:` the network of `weights`, which knows the classes of `data`, says what the images of DATA are like
    (see `adaptive`); they are looked for as those of `data` were.
    """
    if data.several:
        raise UsageError(f"{data.name} has several labels an image, and --class-weights are made for one; leave it out")
    if spec == "balanced":
        return balanced(data)
    if spec.startswith(TARGET):
        if weights is None:
            raise UsageError(
                f"--class-weights {spec} needs --weights that know the classes of {data.name}: train it first"
            )
        model, described = load_weights(weights)
        target = replace(data.spec, where=spec.removeprefix(TARGET), channels=model.channels, holdout=HELD)
        return importance(data, adaptive(model, described.classes, target.open(), execution))
    remedy = "use balanced, target:DATA, or a JSON file of class names and shares"
    given = read_json(spec, remedy, "--class-weights")
    with damaged(spec, remedy, "--class-weights"):
        shares = {str(name): finite_number(share) for name, share in given.items()}
    return importance(data, shares)
