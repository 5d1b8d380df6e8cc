"""How much each channel of a trained network matters, so that a narrower one keeps those that do.

N images, K classes, C channels
"""

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from compound.nn.build import ConvNet
from compound.nn.carrying import Channels, InheritError, Scores, Walk
from compound.nn.modes import evaluating

CHUNK = 16  # images of one backward pass


@dataclass
class ChannelRun:
    """A convolution that makes values of some channels, or adds to them, and the norms on these until they are read."""

    norms: list[nn.BatchNorm2d] = field(default_factory=list)


@dataclass
class Follow(Walk):
    """A walk through one network, beside itself, that finds which norms lie on the channels a convolution chose.

    `runs` of a convolution that chose: its own, and of a sum's other sides those that must choose as it did.
    """

    runs: dict[nn.Module, list[ChannelRun]] = field(default_factory=dict)
    owners: list[tuple[Tensor, nn.Module]] = field(default_factory=list)

    def owner(self, index: Tensor) -> nn.Module | None:
        return next((module for known, module in self.owners if known is index), None)

    def layer(
        self, old: nn.Conv2d | nn.Linear, new: nn.Conv2d | nn.Linear, maps: Channels, where: str, want: Tensor | None
    ) -> Channels:
        found = Channels(torch.arange(len(old.weight)), len(old.weight))
        if isinstance(old, nn.Conv2d) and 1 < old.groups == old.in_channels == old.out_channels:
            return maps
        if want is None:
            self.owners.append((found.index, old))
        elif len(want) == found.old:
            found = Channels(want, found.old)
        owner = self.owner(found.index)
        if owner is not None:
            self.runs.setdefault(owner, []).append(ChannelRun())
        return found

    def norm(self, old: nn.Module, new: nn.Module, maps: Channels) -> None:
        owner = self.owner(maps.index)
        if owner is not None and isinstance(old, nn.BatchNorm2d):
            self.runs[owner][-1].norms.append(old)


def importance(model: ConvNet, images: Iterable[Tensor], *, seed: int = 0) -> Scores:
    """Of each convolution that chooses channels, (C,): how far the logits would move without each of them, squared.

    `images`: (N, C, H, W), preprocessed. To first order a value a moves the logits by their gradient times a (Molchanov
    et al. 2019, arXiv:1906.10771, Section 3.1); in place of the loss, whose gradient a trained network has none of,
    stands the product of the logits with random numbers v ~ N(0, 1), whose square is in the mean that of the whole
    move. It is summed over the positions of an image and squared then. Channels that several blocks add to, and so
    leave together, have the sum of all. Convolutions without a norm are left out.
    """
    members = members_of(model)
    norms = list(dict.fromkeys(norm for some in members.values() for norm in some))
    if not norms:
        return {}
    scores: Scores = {owner: torch.zeros(some[0].num_features) for owner, some in members.items()}
    random = torch.Generator().manual_seed(seed)
    values: dict[nn.Module, Tensor] = {}

    def keep(norm: nn.Module, _: object, value: Tensor) -> None:
        values[norm] = value

    with evaluating(model), torch.enable_grad(), ExitStack() as stack:
        for norm in norms:
            stack.callback(norm.register_forward_hook(keep).remove)
        for part in (part for whole in images for part in whole.split(CHUNK)):
            logits = model(part.detach().requires_grad_())
            v = torch.randn(logits.shape, generator=random)
            gradients = torch.autograd.grad((logits * v).sum(), [values[norm] for norm in norms])
            moves = {
                norm: (values[norm].detach() * gradient).sum((2, 3))
                for norm, gradient in zip(norms, gradients, strict=True)
            }
            for owner, some in members.items():
                scores[owner] += torch.stack([moves[norm] for norm in some]).sum(0).square().sum(0)
    return scores


def members_of(model: ConvNet) -> dict[nn.Module, list[nn.BatchNorm2d]]:
    """Of each convolution that chooses channels, the norms whose values are these."""
    follow = Follow(torch.Generator())
    maps = Channels(torch.arange(model.channels), model.channels)
    *rows, _ = model.network.blocks()
    parts = [
        block for name, child in model.stages()[:-1] for block in (child.children() if name != "stem" else [child])
    ]
    for row, block in zip(rows, parts, strict=True):
        try:
            maps = follow.through(block, block, maps, row.label)
        except InheritError:  # nothing is known of its channels, and none of those that leave it is chosen
            maps = Channels(torch.arange(row.output[0]), row.output[0])
    maps = follow.through(model.features, model.features, maps, "head")
    follow.through(model.classifier, model.classifier, maps, "classifier")
    found = {owner: counted(runs) for owner, runs in follow.runs.items()}
    return {owner: norms for owner, norms in found.items() if norms}


def counted(runs: list[ChannelRun]) -> list[nn.BatchNorm2d]:
    """The norms whose values are the channels': the last before a single run is read, the first of each that is added.

    Behind a sum's own norms stand those of whoever reads it.
    """
    normed = [run.norms for run in runs if run.norms]  # a gate chooses as it must, and has none
    return normed[0][-1:] if len(normed) == 1 else [norms[0] for norms in normed]
