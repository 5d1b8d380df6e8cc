"""Weights of a trained network for a scaled one, so that STEP 2 starts warm instead of from nothing.

Wider: channels are repeated, and whoever reads them divides its weights among the repeats (Net2WiderNet, Chen et al.
2016); the shares are drawn at random, so that repeats do not stay equal, and the function is preserved. Deeper: a new
block of a stage begins as the identity (its last norm scales by zero). Narrower: the channels with the largest filters
stay. Another resolution changes no weight.

A map from new to old channels goes with the values through the network. I, O: channels in and out, of the new layer
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from compound.blocks import block_name
from compound.errors import UsageError
from compound.network import Network
from compound.nn.build import ConvNet, build
from compound.nn.modules import Concat, Gate, Residual


class InheritError(UsageError):
    """Weights that cannot be carried over; the message says where the networks differ in kind."""


@dataclass(frozen=True)
class Channels:
    """`index` (new,) says which of the `old` channels each new one repeats."""

    index: Tensor
    old: int

    def offset(self, by: int) -> Tensor:
        return self.index + by


@torch.no_grad()
def inherit(model: ConvNet, network: Network, *, seed: int = 0) -> ConvNet:
    """`network` built with what `model` has learned; for other classes than the model's it gets a fresh classifier.

    Exact, up to rounding errors, where no dimension shrinks and every stage has residual blocks or no new ones; a new
    block without a shortcut is only near the identity. Raises `InheritError` where stages are of another kind, and for
    blocks that read two maps, split or shuffle channels.
    """
    channels = network.channels
    if channels != model.channels:
        raise InheritError(f"the weights read {model.channels} channels and {channels} are asked for; adapt them first")
    check_kinds(model.network, network)
    new = build(network, seed=seed)
    walk = Walk(torch.Generator().manual_seed(seed))
    kept = {(row.stage, row.repeat) for row in network.blocks() if row.input == row.output}
    maps = walk.through(model.stem, new.stem, Channels(torch.arange(channels), channels), "stem")
    for number in range(1, len(network.stages) + 1):
        name = f"stage{number}"
        old_blocks, new_blocks = (list(getattr(each, name)) for each in (model, new))
        for repeat, block in enumerate(new_blocks):
            where = f"stage {number} block {repeat + 1}"
            if repeat < len(old_blocks):
                maps = walk.through(old_blocks[repeat], block, maps, where)
            elif (number, repeat + 1) in kept:
                begin_as_identity(block)
            else:
                raise InheritError(f"{where} adds channels to its input, so it cannot begin as the identity")
    maps = walk.through(model.features, new.features, maps, "head")
    if new.classes == model.classes:
        walk.through(model.classifier, new.classifier, maps, "classifier", torch.arange(new.classes))
    return new.train(model.training)


def check_kinds(old: Network, new: Network) -> None:
    """Raise `InheritError` unless stages differ in layers, channels and the blocks' own widths only."""
    if len(old.stages) != len(new.stages):
        raise InheritError(
            f"{new.name} has {len(new.stages)} stages and {old.name} {len(old.stages)}; scale the same net"
        )
    for number, (a, b) in enumerate(zip((old.stem, *old.stages), (new.stem, *new.stages), strict=True)):
        where = f"stage {number}" if number else "stem"
        if (type(a.block), a.stride) != (type(b.block), b.stride):
            kinds = [f"{block_name(type(s.block))} of stride {s.stride}" for s in (a, b)]
            raise InheritError(f"{where} is {kinds[0]} in {old.name} and {kinds[1]} in {new.name}; scale the same net")
        if a.block.reads_previous:
            raise InheritError(
                f"{where}: cells read two maps, and their weights are not carried over; train from scratch"
            )


@dataclass
class Walk:
    """Copies weights layer by layer; every method takes the old module, the new one and the channels that enter."""

    random: torch.Generator

    def through(
        self, old: nn.Module, new: nn.Module, maps: Channels, where: str, want: Tensor | None = None
    ) -> Channels:
        """The channels that leave. `want` is the map they must have: both sides of a sum need the same."""
        if type(old) is not type(new) or len(list(old.children())) != len(list(new.children())):
            raise InheritError(f"{where}: the layers of the two networks are not of one kind, so weights cannot pass")
        if isinstance(old, nn.Sequential):
            assert isinstance(new, nn.Sequential)
            chooser = max((i for i, part in enumerate(old) if chooses(part)), default=-1)
            for i, (a, b) in enumerate(zip(old, new, strict=True)):
                maps = self.through(a, b, maps, where, want if i == chooser else None)
            return maps
        if isinstance(old, Residual):
            assert isinstance(new, Residual)
            if not chooses(old.shortcut):
                return self.through(old.body, new.body, maps, where, maps.index)
            out = self.through(old.body, new.body, maps, where, want)
            return self.through(old.shortcut, new.shortcut, maps, where, out.index)
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
        if isinstance(old, nn.Conv2d | nn.Linear):
            assert isinstance(new, nn.Conv2d | nn.Linear)
            return self.layer(old, new, maps, where, want)
        if isinstance(old, nn.BatchNorm2d):
            for name, tensor in new.state_dict().items():
                given = old.state_dict()[name]
                tensor.copy_(given[maps.index] if given.dim() else given)
            return maps
        if old.state_dict() or any(True for _ in old.children()):
            raise InheritError(f"{where}: weights of {type(old).__name__} are not carried over; train from scratch")
        if type(old).__name__ in ("Slice", "ChannelShuffle"):
            raise InheritError(f"{where}: channels that are split or shuffled are not carried over; train from scratch")
        return maps

    def layer(
        self, old: nn.Conv2d | nn.Linear, new: nn.Conv2d | nn.Linear, maps: Channels, where: str, want: Tensor | None
    ) -> Channels:
        """A convolution or linear layer: rows chosen, columns shared out."""
        if old.weight.shape[2:] != new.weight.shape[2:]:
            raise InheritError(f"{where}: kernels of {tuple(old.weight.shape[2:])} and {tuple(new.weight.shape[2:])}")
        groups = old.groups if isinstance(old, nn.Conv2d) else 1
        if is_depthwise(old):
            out, weight = maps.index, old.weight[maps.index]
        elif groups > 1:
            if old.weight.shape != new.weight.shape:
                raise InheritError(
                    f"{where}: a convolution in {groups} groups cannot change its width; train from scratch"
                )
            out, weight = torch.arange(len(old.weight)), old.weight
        else:
            out = self.chosen(old.weight, len(new.weight)) if want is None else want
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

    @staticmethod
    def chosen(weight: Tensor, count: int) -> Tensor:
        """Which old filters the `count` new ones are: all and then repeats, or those with the largest weights."""
        if count >= len(weight):
            return torch.arange(count) % len(weight)
        return weight.flatten(1).abs().sum(1).topk(count).indices.sort().values

    def shares(self, columns: Tensor) -> Tensor:
        """What each repeat of a channel gets of its weight, (I,): random shares that sum to one a channel."""
        drawn = torch.rand(len(columns), generator=self.random, dtype=torch.float64) + 0.5
        totals = torch.zeros(int(columns.max()) + 1, dtype=torch.float64).index_add_(0, columns, drawn)
        return (drawn / totals[columns]).float()


def chooses(module: nn.Module) -> bool:
    """Whether which channels leave is decided in `module`: by a convolution or linear layer that is not depthwise."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        return not is_depthwise(module)
    return not isinstance(module, Gate) and any(chooses(child) for child in module.children())


def is_depthwise(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and 1 < module.groups == module.in_channels == module.out_channels


def begin_as_identity(block: nn.Module) -> None:
    """Zero what a residual body ends with; elsewhere square convolutions pass each channel on."""
    bodies = [module.body for module in block.modules() if isinstance(module, Residual)]
    for body in bodies:
        last = [m for m in outside_gates(body) if isinstance(m, nn.BatchNorm2d | nn.Conv2d)][-1]
        nn.init.zeros_(last.weight)
        if last.bias is not None:
            nn.init.zeros_(last.bias)
    for module in () if bodies else outside_gates(block):
        if isinstance(module, nn.Conv2d) and module.in_channels == module.out_channels:
            nn.init.dirac_(module.weight, module.groups)


def outside_gates(module: nn.Module) -> list[nn.Module]:
    """The modules below `module` in order, without those of gates."""
    if isinstance(module, Gate):
        return []
    return [module, *(inner for child in module.children() for inner in outside_gates(child))]
