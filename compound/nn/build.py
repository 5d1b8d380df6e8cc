"""`build(network) -> ConvNet`: the network as a torch module whose children are the rows of its table."""

import math
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from compound import ops
from compound.errors import NetworkError
from compound.network import Network
from compound.nn.conformal import Sets
from compound.nn.modules import Carrying, Graph, after, make
from compound.nn.sources import forget_source
from compound.nn.unknown import Unknown


class ConvNet(nn.Module):
    """A built network. Children: `stem`, `stage1` … `stageN` (of `block1` …), `features`, `classifier`.

    `forward` maps images (N, channels, H, W), preprocessed, to logits (N, classes). H and W need not be the network's
    resolution, unless the head flattens more than one position.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.several = False  # whether its classes exclude each other, or an image may have several
        self.unknown: Unknown | None = None  # when it says that an image is none of them
        self.sets: Sets | None = None  # among which of them the right one is
        self.recomputed: frozenset[str] = frozenset()
        *rows, head = network.blocks()
        stages: OrderedDict[int, OrderedDict[str, nn.Module]] = OrderedDict()
        for row in rows:
            stage = stages.setdefault(row.stage, OrderedDict())
            drop = 1 - row.survival
            if row.previous is None:
                stage[f"block{row.repeat}"] = make(row.operator, row.input, drop)
            else:
                assert isinstance(row.operator, ops.Graph)
                stage[f"block{row.repeat}"] = Graph(row.operator, row.input, rows[row.previous].input, drop)
        self.stem = stages.pop(0)["block1"]
        carrying = any(stage.block.reads_previous for stage in (network.stem, *network.stages))
        for number, blocks in stages.items():
            keep = network.stages[number - 1].block.keep_previous
            built = Carrying(blocks, [keep] * len(blocks)) if carrying else nn.Sequential(blocks)
            self.add_module(f"stage{number}", built)
        features = network.head.features(network.style)
        self.features = make(features, head.input)
        self.classifier = make(
            network.head.classifier(network.classes, network.dropout, network.style), after(features, head.input)
        )

    @property
    def classes(self) -> int:
        return self.network.classes

    @property
    def channels(self) -> int:
        return self.network.channels

    def recompute(self, names: Iterable[str]) -> None:
        """From now on, keep only the input of these children for the backward pass; `recomputed` says which."""
        self.recomputed = frozenset(names)
        known = [name for name, _ in self.stages()]
        for name in sorted(self.recomputed - set(known)):
            raise NetworkError(f"recompute {name!r}: {self.network.name} has no such part; use {', '.join(known)}")

    def stages(self) -> list[tuple[str, nn.Module]]:
        """What images run through, by name, up to the maps that are pooled."""
        return [(name, child) for name, child in self.named_children() if name != "classifier"]

    def forward_features(self, x: Tensor) -> Tensor:
        """The last maps, (N, C, h, w): what is pooled and classified, and what class activation mapping reads."""
        previous = None
        for name, stage in self.stages():
            run = carry_again if name in self.recomputed and torch.is_grad_enabled() else carry
            x, previous = run(stage, x, previous)
        return x

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.forward_features(x))
        return logits

    def intermediates(self, x: Tensor) -> dict[str, Tensor]:
        """The output of every row by name, and the logits: `stem`, `stage1` …, `features`, `logits`."""
        values, previous = {}, None
        for name, stage in self.stages():
            x, previous = carry(stage, x, previous)
            values[name] = x
        values["logits"] = self.classifier(x)
        return values


def carry(stage: nn.Module, x: Tensor, previous: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """x through one child, and with it the map before it where the blocks of the network read that too."""
    return stage(x, previous) if isinstance(stage, Carrying) else (stage(x), previous)


def carry_again(stage: nn.Module, x: Tensor, previous: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """`carry` that keeps its inputs only and runs again when the gradient comes, with the same random numbers.

    The second time leaves the running statistics of norms alone, so that all is as if it had run once.
    """
    if torch.compiler.is_compiling():  # then what is written happens once, however often it is computed
        again: tuple[Tensor, Tensor | None] = checkpoint(carry, stage, x, previous, use_reentrant=False)
        return again
    done: tuple[Tensor, Tensor | None] = checkpoint(
        carry, stage, x, previous, use_reentrant=False, context_fn=lambda: (nullcontext(), statistics_kept(stage))
    )
    for value in done:
        forget_source(value)  # it would lead back to what is not kept
    return done


@contextmanager
def statistics_kept(stage: nn.Module) -> Iterator[None]:
    """Norms that are training use the batch's statistics and do not record them."""
    norms = [module for module in stage.modules() if isinstance(module, nn.BatchNorm2d) and module.training]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    try:
        for norm in norms:  # a momentum of 0 keeps what there is; without them, autograd would have less to save
            norm.momentum, norm.num_batches_tracked = 0.0, None
        yield
    finally:
        for norm, (momentum, count) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count


def build(network: Network, *, seed: int | None = None) -> ConvNet:
    """The torch module of `network`, initialised as officially; `seed` makes it the same every time."""
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        model = ConvNet(network)
        initialise(model)
    return model


@torch.no_grad()
def initialise(model: nn.Module) -> None:
    """Official initialisation: convolutions N(0, √(2 / (k² · C_out))), linear U(±1/√features), norms 1 and 0.

    A depthwise convolution counts one output a channel, so its deviation is √(2 / k²); torchvision divides by all
    channels, which starts it √C too small.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = math.prod(module.kernel_size) * module.out_channels // module.groups
            nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
        elif isinstance(module, nn.Linear):
            bound = 1 / math.sqrt(module.out_features)
            nn.init.uniform_(module.weight, -bound, bound)
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)


@torch.no_grad()
def calm(model: ConvNet) -> None:
    """Scale the layers of a fresh classifier down to a deviation of 1/√inputs where it is above that, in place.

    This keeps the variance (LeCun et al. 1998, Section 4.6). The official initialisation is for 1000 classes: of 10
    classes and 4096 features logits begin twelve times as large.
    """
    for module in model.classifier.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            most = 1 / math.sqrt(module.weight[0].numel())
            module.weight.mul_(min(most / module.weight.std().item(), 1.0))
