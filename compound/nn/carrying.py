"""Weights carried from one network's layers to those of a wider or narrower one.

A map from new to old channels goes with the values through the network. I, O: channels in and out, of the new layer
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from compound.errors import UsageError
from compound.nn.modules import Concat, Gate, LayerNorm2d, Residual, ResponseNorm2d, Scale, Sum, Wiring
from compound.nn.moments import NormPair


class InheritError(UsageError):
    """Weights that cannot be carried over; the message says where the networks differ in kind."""


Scores = dict[nn.Module, Tensor]  # of a convolution that chooses channels: how much each matters


@dataclass(frozen=True)
class Channels:
    """`index` (new,) says which of the `old` channels each new one repeats."""

    index: Tensor
    old: int

    def offset(self, by: int) -> Tensor:
        return self.index + by


@dataclass
class Walk:
    """Copies weights layer by layer; every method takes the old module, the new one and the channels that enter.

    `scores` say which channels stay where fewer are asked for; without one, those with the largest filters. `norms` are
    those that were met, in order.
    """

    random: torch.Generator
    scores: Mapping[nn.Module, Tensor] = field(default_factory=dict)
    norms: list[NormPair] = field(default_factory=list)

    def block(self, old: nn.Module, new: nn.Module, maps: Channels, where: str, channels: int) -> Channels:
        """A block that `channels` leave; as it is where nothing of it changes."""
        before, after = ({key: one.shape for key, one in each.state_dict().items()} for each in (old, new))
        if before == after and torch.equal(maps.index, torch.arange(maps.old)):
            new.load_state_dict(old.state_dict())
            self.as_they_are(old, new)
            return Channels(torch.arange(channels), channels)
        return self.through(old, new, maps, where)

    def as_they_are(self, old: nn.Module, new: nn.Module) -> None:
        """Take note of the norms of parts that are alike."""
        for a, b in zip(old.modules(), new.modules(), strict=True):
            if isinstance(a, nn.BatchNorm2d) and isinstance(b, nn.BatchNorm2d):
                self.norms.append(NormPair(a, b, torch.arange(a.num_features)))

    def through(
        self, old: nn.Module, new: nn.Module, maps: Channels, where: str, want: Tensor | None = None
    ) -> Channels:
        """The channels that leave. `want` is the map they must have: both sides of a sum need the same."""
        if type(old) is not type(new) or len(list(old.children())) != len(list(new.children())):
            raise InheritError(f"{where}: the layers of the two networks are not of one kind, so weights cannot pass")
        if isinstance(old, nn.Sequential):
            assert isinstance(new, nn.Sequential)
            return self.chain(list(old), list(new), maps, where, want)
        if isinstance(old, Residual):
            assert isinstance(new, Residual)
            if not chooses(old.shortcut):
                return self.through(old.body, new.body, maps, where, maps.index)
            out = self.through(old.body, new.body, maps, where, want)
            return self.through(old.shortcut, new.shortcut, maps, where, out.index)
        if isinstance(old, Sum):
            assert isinstance(new, Sum)
            index = want if all(map(chooses, old)) else maps.index
            for a, b in zip(old, new, strict=True):
                out = self.through(a, b, maps, where, index)
                index = out.index
            return out
        if isinstance(old, Gate):
            assert isinstance(new, Gate)
            self.through(old.gate, new.gate, maps, where, maps.index)
            return maps
        if isinstance(old, Concat):
            assert isinstance(new, Concat)
            parts = [self.through(a, b, maps, where) for a, b in zip(old, new, strict=True)]
            offsets = [sum(part.old for part in parts[:i]) for i in range(len(parts))]
            index = torch.cat([part.offset(by) for part, by in zip(parts, offsets, strict=True)])
            return Channels(index, sum(part.old for part in parts))
        if isinstance(old, Wiring):
            return self.as_it_is(old, new, maps, where)
        if isinstance(old, nn.Conv2d | nn.Linear):
            assert isinstance(new, nn.Conv2d | nn.Linear)
            return self.layer(old, new, maps, where, want)
        if isinstance(old, nn.BatchNorm2d | LayerNorm2d | ResponseNorm2d | Scale):
            self.norm(old, new, maps)
            return maps
        if old.state_dict() or any(True for _ in old.children()):
            raise InheritError(f"{where}: weights of {type(old).__name__} are not carried over; train from scratch")
        return maps

    def as_it_is(self, old: Wiring, new: nn.Module, maps: Channels, where: str) -> Channels:
        """A list of operators, which nothing was done to."""
        assert isinstance(new, Wiring)
        before, after = old.state_dict(), new.state_dict()
        if not torch.equal(maps.index, torch.arange(maps.old)) or any(
            before[name].shape != tensor.shape for name, tensor in after.items()
        ):
            raise InheritError(f"{where}: listed operators are carried over as they are only; train from scratch")
        new.load_state_dict(before)
        return Channels(torch.arange(new.channels), new.channels)

    def chain(
        self, old: list[nn.Module], new: list[nn.Module], maps: Channels, where: str, want: Tensor | None
    ) -> Channels:
        """One module after another; whoever stands before a convolution in groups repeats its groups."""
        choosers = [i for i, part in enumerate(old) if chooses(part)]
        for i, (a, b) in enumerate(zip(old, new, strict=True)):
            behind = next((j for j in choosers if j > i), None)
            due = want if behind is None and i in choosers else None
            if i in choosers and behind is not None:
                due = wanted_by(first_conv(old[behind]), first_conv(new[behind]))
            maps = self.through(a, b, maps, where, due)
        return maps

    def layer(
        self, old: nn.Conv2d | nn.Linear, new: nn.Conv2d | nn.Linear, maps: Channels, where: str, want: Tensor | None
    ) -> Channels:
        """A convolution or linear layer: rows chosen, columns shared out."""
        if old.weight.shape[2:] != new.weight.shape[2:]:
            raise InheritError(f"{where}: kernels of {tuple(old.weight.shape[2:])} and {tuple(new.weight.shape[2:])}")
        if is_depthwise(old):
            out, weight = maps.index, old.weight[maps.index]
        elif isinstance(old, nn.Conv2d) and old.groups > 1:
            assert isinstance(new, nn.Conv2d)
            out, weight = self.in_groups(old, new, maps, where)
        else:
            out = self.chosen(old, len(new.weight)) if want is None else want
            columns = maps.index
            if isinstance(old, nn.Linear) and old.in_features > maps.old:  # several positions a channel
                positions = old.in_features // maps.old
                columns = (columns[:, None] * positions + torch.arange(positions)).flatten()
            weight = old.weight[out][:, columns] * self.shares(columns).view(1, -1, *[1] * (old.weight.dim() - 2))
        new.weight.copy_(weight)
        if old.bias is not None:
            assert new.bias is not None
            new.bias.copy_(old.bias[out])
        return Channels(out, len(old.weight))

    def norm(self, old: nn.Module, new: nn.Module, maps: Channels) -> None:
        """What a channel has by itself: norms and scales."""
        for name, tensor in new.state_dict().items():
            given = old.state_dict()[name]
            tensor.copy_(given[maps.index] if given.dim() else given)
        if isinstance(old, nn.BatchNorm2d) and isinstance(new, nn.BatchNorm2d):
            self.norms.append(NormPair(old, new, maps.index))

    def in_groups(self, old: nn.Conv2d, new: nn.Conv2d, maps: Channels, where: str) -> tuple[Tensor, Tensor]:
        """The rows of a convolution in groups, and its weights: every group repeats an old one."""
        if not torch.equal(maps.index, repeated(new.in_channels, new.groups, old.in_channels, old.groups)):
            raise InheritError(
                f"{where}: a convolution in {old.groups} groups reads channels that are repeated otherwise; "
                "train from scratch"
            )
        out = repeated(new.out_channels, new.groups, old.out_channels, old.groups)
        columns = torch.arange(new.weight.shape[1]) % old.weight.shape[1]
        return out, old.weight[out][:, columns] * self.shares(columns).view(1, -1, 1, 1)

    def chosen(self, old: nn.Conv2d | nn.Linear, count: int) -> Tensor:
        """Which old filters the `count` new ones are: all and then repeats, or those that matter most."""
        weight = old.weight
        if count >= len(weight):
            return torch.arange(count) % len(weight)
        matters = self.scores[old] if old in self.scores else weight.flatten(1).abs().sum(1)
        return matters.topk(count).indices.sort().values

    def shares(self, columns: Tensor) -> Tensor:
        """What each repeat of a channel gets of its weight, (I,): random shares that sum to one a channel."""
        drawn = torch.rand(len(columns), generator=self.random, dtype=torch.float64) + 0.5
        totals = torch.zeros(int(columns.max()) + 1, dtype=torch.float64).index_add_(0, columns, drawn)
        return (drawn / totals[columns]).float()


def repeated(count: int, groups: int, old_count: int, old_groups: int) -> Tensor:
    """Which old channels the `count` new ones are, where group g repeats the channels of the old group g mod groups."""
    each, old_each = count // groups, old_count // old_groups
    group = torch.arange(groups) % old_groups
    return (group[:, None] * old_each + torch.arange(each) % old_each).flatten()


def wanted_by(old: nn.Module | None, new: nn.Module | None) -> Tensor | None:
    """The channels that a convolution in groups must be given; None where it takes any."""
    if not (isinstance(old, nn.Conv2d) and isinstance(new, nn.Conv2d)) or old.groups == 1:
        return None
    return repeated(new.in_channels, new.groups, old.in_channels, old.groups)


def first_conv(module: nn.Module) -> nn.Module | None:
    """The convolution that a chain of modules begins with; None where it begins with something else that chooses."""
    while isinstance(module, nn.Sequential):
        module = next(child for child in module if chooses(child))
    return module if isinstance(module, nn.Conv2d) else None


def chooses(module: nn.Module) -> bool:
    """Whether which channels leave is decided in `module`: by a convolution or linear layer that is not depthwise."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        return not is_depthwise(module)
    return not isinstance(module, Gate) and any(chooses(child) for child in module.children())


def is_depthwise(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and 1 < module.groups == module.in_channels == module.out_channels
