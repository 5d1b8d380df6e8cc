"""Weights of other libraries into a built network, by structure: order and shape, not names.

A state dict lists its layers in the order they were made, which is the order they run in for torchvision, timm and
EfficientNet-PyTorch (`tf_` and Lite included). Others are tried by structure: shortcuts before bodies (torchvision's
RegNet, timm's Xception), neighbours exchanged (the entries of some cells of timm's NASNet), and in the order that known
names run in (timm's FasterNet). Layers with weights and
norms are lined up separately, and so are learned factors. A 1×1 convolution and a linear layer of one size are the same
thing, and so are a convolution over a whole map and a linear layer on all of it (timm's VGG). Where names were sorted
by alphabet, the order is restored first (see `order.py`). Nothing is guessed: every shape must agree.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from compound.errors import CompoundError
from compound.nn.build import ConvNet
from compound.nn.order import UnknownOrder, defined_order


class WeightsError(CompoundError):
    """Weights that do not belong to the network; the message names what differs."""


@dataclass
class ForeignLayer:
    """One layer of a state dict: the part of the name its tensors share, and the tensors by their last word."""

    name: str
    tensors: dict[str, Tensor] = field(default_factory=dict)

    @property
    def is_norm(self) -> bool:
        return "running_mean" in self.tensors

    @property
    def kind(self) -> str:
        """Layers of one kind are lined up by themselves."""
        if self.is_norm:
            return "norms"
        # A learned factor of its own, such as a layer scale; libraries disagree where in a block they list it.
        alone = len(self.tensors) == 1 and not {"weight", "bias"} & set(self.tensors)
        return "scales" if alone else "layers with weights"

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes by tensor; trailing 1×1 windows are cut off."""
        return {word: squeezed(tensor) for word, tensor in self.tensors.items()}

    def __str__(self) -> str:
        return f"{self.name} {' '.join('×'.join(map(str, s)) for s in self.shapes.values())}"


def squeezed(tensor: Tensor) -> tuple[int, ...]:
    shape = tuple(tensor.shape)
    return shape[:2] if len(shape) == 4 and shape[2:] == (1, 1) else shape


def layers(state: Mapping[str, Tensor]) -> list[ForeignLayer]:
    """The layers of a state dict in its own order."""
    found: dict[str, ForeignLayer] = {}
    for key, tensor in state.items():
        name, _, word = key.rpartition(".")
        if word != "num_batches_tracked":
            found.setdefault(name, ForeignLayer(name)).tensors[word] = tensor
    return list(found.values())


def shortcuts_first(found: list[ForeignLayer]) -> list[ForeignLayer]:
    """Our layers with every shortcut before the body that it goes round, the order of torchvision's RegNet."""
    ordered: list[ForeignLayer] = []
    for layer in found:
        residual, is_shortcut, _ = layer.name.partition("shortcut.")
        body = [i for i, other in enumerate(ordered) if is_shortcut and other.name.startswith(f"{residual}body.")]
        ordered.insert(min(body, default=len(ordered)), layer)
    return ordered


def fits(ours: ForeignLayer, theirs: ForeignLayer) -> bool:
    """Whether the tensors of two layers have the same shapes, or as many numbers where a window covers a whole map."""
    if ours.kind == theirs.kind == "scales":
        return [math.prod(one) for one in ours.shapes.values()] == [math.prod(one) for one in theirs.shapes.values()]
    if ours.shapes.keys() != theirs.shapes.keys():
        return False
    pairs = [(ours.shapes[word], theirs.shapes[word]) for word in ours.shapes]
    return all(a == b or ({len(a), len(b)} == {2, 4} and flat(a) == flat(b)) for a, b in pairs)


def flat(shape: tuple[int, ...]) -> tuple[int, int]:
    """Outputs and fan-in: a linear layer on a flattened map and a convolution over all of it are the same."""
    return shape[0], math.prod(shape[1:])


def aligned(
    ours: list[ForeignLayer], theirs: list[ForeignLayer]
) -> tuple[list[tuple[ForeignLayer, ForeignLayer]], list[str]]:
    """Pairs of layers, lined up by order, and what does not fit."""
    pairs, problems = [], []
    for kind in ("layers with weights", "norms", "scales"):
        mine = [layer for layer in ours if layer.kind == kind]
        given = [layer for layer in theirs if layer.kind == kind]
        if len(mine) != len(given):
            problems.append(f"{len(given)} {kind} are given and {len(mine)} needed")
        for a, b in zip(mine, given, strict=False):
            if fits(a, b):
                pairs.append((a, b))
            else:
                problems.append(f"{b} does not fit {a}")
    return pairs, problems


def import_weights(model: ConvNet, state: Mapping[str, Tensor], *, backbone: bool = False) -> None:
    """Copy another library's state dict into `model`, strictly: all layers of both sides, all shapes equal.

    With `backbone` the state dict has all but the classifier, which stays as it is. Raises `WeightsError` naming the
    layers that differ; then `model` is unchanged.
    """
    ours, theirs = layers(model.state_dict()), layers(state)
    if backbone:
        ours = [layer for layer in ours if not layer.name.startswith("classifier")]
    if {x.name for x in ours} != {x.name for x in theirs}:
        theirs = layers(in_order(state))
    pairs, problems = aligned(ours, theirs)
    if problems:
        others = [(shortcuts_first(ours), theirs), (ours, in_order_of(ours, theirs))]
        others += [(ours, layers(one)) for one in running(state)]
        tried = (aligned(*both) for both in others)
        pairs, problems = next((one for one in tried if not one[1]), (pairs, problems))
    if problems:
        more = f" (and {len(problems) - 4} more)" if len(problems) > 4 else ""
        raise WeightsError(f"weights do not fit {model.network.name}: {'; '.join(problems[:4])}{more}")
    with torch.no_grad():
        for a, b in pairs:
            for word, tensor in a.tensors.items():
                given = next(iter(b.tensors.values())) if a.kind == "scales" else b.tensors[word]
                tensor.copy_(given.reshape(tensor.shape))


def in_order(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """`state` in the order of definition, where its names were sorted by alphabet."""
    if len(state) <= 8 or list(state) != sorted(state):
        return state
    try:
        return defined_order(state)
    except UnknownOrder as error:
        raise WeightsError(
            f"the weights' names are sorted by alphabet, and the order of {error} is not known; "
            "give the original state dict (.pth) instead"
        ) from None


def running(state: Mapping[str, Tensor]) -> list[Mapping[str, Tensor]]:
    """`state` in the order in which its layers run, where names tell it."""
    try:
        return [defined_order(state)]
    except UnknownOrder:
        return []


def groups(layers: list[ForeignLayer]) -> list[list[ForeignLayer]]:
    """Layers in groups: some with weights and the norms behind them."""
    found: list[list[ForeignLayer]] = [[]]
    for layer in layers:
        if found[-1] and found[-1][-1].is_norm and not layer.is_norm:
            found.append([])
        found[-1].append(layer)
    return found


def in_order_of(ours: list[ForeignLayer], theirs: list[ForeignLayer]) -> list[ForeignLayer]:
    """`theirs`, neighbouring groups exchanged where the second has the shapes that are due and the first has not."""
    waiting, ordered = groups(theirs), []
    for group in groups(ours):
        shapes = [layer.shapes for layer in group]
        place = next((i for i, other in enumerate(waiting[:2]) if [layer.shapes for layer in other] == shapes), 0)
        ordered += waiting.pop(place) if waiting else []
    return [*ordered, *(layer for group in waiting for layer in group)]
