"""One set of weights for every network of a space (one-shot search: Guo et al. 2020; slices: Cai et al. 2020).

A network of the space runs as what it is, the operators of its rows in order. Only the weights come from here:
operators that stand in the same place and differ in size alone take the leading channels and the central positions of
one layer.

N images, C channels, R the resolution in px
"""

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from compound.blocks import Block, block_name
from compound.errors import CompoundError
from compound.network import Network, Row
from compound.nn.build import initialise
from compound.nn.modules import make
from compound.ops import Add, Conv, Depthwise, Dropout, Join, Multiply, Norm, Operator, Reused, Shape, Step
from compound.search.covering import cover
from compound.search.space import Space

Statistics = dict[str, tuple[Tensor, Tensor]]  # mean and variance that each norm uses, by its name
SIZES = ("channels", "kernel", "features")  # fields of operators in which they may differ and share a layer


class SharedLayer(NamedTuple):
    """An operator and the shape of its input."""

    operator: Operator
    shape: Shape


class Supernet(nn.Module):
    """The shared weights of `space`; `forward` maps images (N, C, R, R) to logits (N, classes).

    `forward` divides the batch among `paths` networks that `admits` allows, drawn by torch's generator; `run` is for
    one network.
    """

    def __init__(
        self,
        space: Space,
        *,
        paths: int = 1,
        admits: Callable[[Network], bool] = lambda network: True,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.space, self.paths, self.admits = space, paths, admits
        layers: dict[str, SharedLayer] = {}
        for network in cover(space, random.Random(seed)):
            self.network = network  # whose preprocessing is that of all
            for name, step, shape in self.steps(network):
                if step.operator.params(shape):
                    layers[name] = larger(SharedLayer(step.operator, shape), layers.get(name))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.layers = nn.ModuleDict({name: make(*layer) for name, layer in layers.items()})
            initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        drawn = self.space.networks(random.Random(int(torch.randint(2**31, ()))))
        networks = (network for _, network in drawn if self.admits(network))
        return torch.cat([self.run(next(networks), part) for part in x.chunk(self.paths)])

    def recompute(self, names: Iterable[str]) -> None:
        """`ConvNet.recompute`; there are no parts here whose maps could be left out."""
        if list(names):
            raise CompoundError("shared weights cannot recompute parts; leave recompute and memory out of the recipe")

    def run(self, network: Network, x: Tensor, norms: Statistics | None = None) -> Tensor:
        """Logits of `network` on preprocessed images.

        Norms use the statistics of the batch. An empty mapping `norms` takes note of them; those of a filled one are
        used in their place.
        """
        noted = dict(norms) if norms else None
        entered: list[Tensor] = []  # what each row received
        for row, names in named(network):
            values = [x] if row.previous is None else [x, entered[row.previous]]
            entered.append(x)
            for name, step in zip(names, row.trace.steps, strict=True):
                inputs = [values[value] for value in step.inputs]
                if isinstance(step.operator, Norm) and norms is not None and noted is None:
                    norms[name] = statistics(inputs[0])
                values.append(self._step(name, step.operator, row.trace.shapes[step.inputs[0]], inputs, noted))
            x = values[row.trace.output]
        return x.flatten(1)

    def _step(
        self, name: str, operator: Operator, shape: Shape, inputs: list[Tensor], norms: Statistics | None
    ) -> Tensor:
        x = inputs[0]
        if isinstance(operator, Add):
            return x + inputs[1]
        if isinstance(operator, Multiply):
            return x * inputs[1]
        if isinstance(operator, Join):
            return torch.cat(inputs, 1)
        if isinstance(operator, Dropout):  # drawing networks regularises enough
            return x
        module, sizes = module_of(operator, shape)
        weights = {part: self._slice(name, part, size) for part, size in sizes.items()}
        if isinstance(operator, Norm):
            mean, variance = norms[name] if norms else (None, None)
            scale, shift = weights["weight"], weights["bias"]
            return F.batch_norm(x, mean, variance, scale, shift, norms is None, eps=operator.eps)
        if type(module) is nn.Conv2d:  # as below without its overhead, which tells on small maps
            result: Tensor = module._conv_forward(x, weights["weight"], weights.get("bias"))
        else:
            result = functional_call(module, weights, x) if weights else module(x)
        return result

    def _slice(self, name: str, part: str, size: torch.Size) -> Tensor:
        """The leading channels and the central positions of a shared tensor."""
        whole = getattr(self.layers[name], part) if name in self.layers else torch.empty(0)
        if whole.dim() != len(size) or any(have < need for have, need in zip(whole.shape, size, strict=True)):
            raise CompoundError(f"the shared weights of {self.space.name} do not cover {name}; train them anew")
        if whole.shape == size:
            return whole
        starts = [
            (have - need) // 2 if axis > 1 else 0
            for axis, (have, need) in enumerate(zip(whole.shape, size, strict=True))
        ]
        part_of: Tensor = BoxSlice.apply(whole, tuple([slice(s, s + n) for s, n in zip(starts, size, strict=True)]))
        return part_of

    def steps(self, network: Network) -> Iterator[tuple[str, Step, Shape]]:
        """Every step of `network` with the name of its layer and the shape of its input."""
        for row, names in named(network):
            for name, step in zip(names, row.trace.steps, strict=True):
                if isinstance(step.operator, Reused):
                    raise CompoundError(f"{network.name}: {row.label} uses weights twice, which cannot be shared")
                yield name, step, row.trace.shapes[step.inputs[0]]


def named(network: Network) -> Iterator[tuple[Row, list[str]]]:
    """The rows of `network` with the name of each step's layer. Equal names share: same place, same structure.

    The place of a stage is counted from the last stage that strided, so that a left-out row does not move all others.
    """
    strided = since = 0
    places = ["stem"]
    for stage in network.stages:
        strided, since = (strided + 1, 0) if stage.stride > 1 else (strided, since + 1)
        places.append(f"{strided}-{since}")
    for row in network.blocks():
        prefix = f"{[*places, 'head'][row.stage]}/{row.repeat}/{structure(row)}"
        yield row, [f"{prefix}/{path_of(step)}/{kind(step.operator)}" for step in row.trace.steps]


def structure(row: Row) -> str:
    """What a block is apart from sizes, shortcut and gate; cells share every operation by itself."""
    if not isinstance(row.block, Block):
        return "head"
    weighted = [path_of(step) for step in row.trace.steps if isinstance(step.operator, Conv | Depthwise)]
    roles = [] if row.block.reads_previous else [path.partition("/")[0] for path in weighted if "gate" not in path]
    return "+".join([block_name(type(row.block)), *roles])


def path_of(step: Step) -> str:
    """The step's path in its block, which a shortcut does not change."""
    return step.path.replace("body.", "").replace(".", "/")


def kind(operator: Operator) -> str:
    return f"{type(operator).__name__}{getattr(operator, 'dilation', '')}"


def larger(one: SharedLayer, other: SharedLayer | None) -> SharedLayer:
    """The layer that both are parts of."""
    if other is None:
        return one
    sizes = {
        field: max(getattr(one.operator, field), getattr(other.operator, field))
        for field in SIZES
        if hasattr(one.operator, field)
    }
    channels = max(one.shape[0], other.shape[0])
    return SharedLayer(replace(one.operator, **sizes), (channels, *one.shape[1:]))


@lru_cache(maxsize=4096)
def module_of(operator: Operator, shape: Shape) -> tuple[nn.Module, dict[str, torch.Size]]:
    """The module of a leaf operator, without weights of its own, and the sizes of those it needs."""
    with torch.device("meta"):
        module = make(operator, shape).eval()
    return module, {part: parameter.shape for part, parameter in module.named_parameters()}


class BoxSlice(torch.autograd.Function):
    """A box cut out of a tensor; backward makes one tensor of zeros, where torch's slices make one an axis."""

    @staticmethod
    def forward(context: Any, whole: Tensor, box: tuple[slice, ...]) -> Tensor:
        context.size, context.box = whole.shape, box
        return whole[box].contiguous()

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        whole = gradients[0].new_zeros(context.size)
        whole[context.box] = gradients[0]
        return whole, None


def statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of each channel."""
    variance, mean = torch.var_mean(x.detach(), (0, 2, 3))
    return mean, variance
