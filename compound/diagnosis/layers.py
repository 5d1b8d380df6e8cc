"""Times of a network's distinct layers, each alone: forward pass and both gradients, in fp32 and bf16, as in training.

A layer cannot take less than its operations take at the fastest rate of the processor, nor less than its maps and
weights take to be read and written once at the fastest rate of memory (the roofline of Williams et al. 2009). The share
of that which a layer reaches tells what is worth a look; GFLOP/s alone would blame every depthwise convolution.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from compound.measurement.machine import peak_gflops
from compound.measurement.timing import fastest
from compound.network import Network
from compound.nn import build
from compound.nn.depthwise import Geometry, convolution_backward, goes_another_way
from compound.runtimes import Call

PASSES = ("forward", "input", "weight")
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Layer:
    """A layer as often as a network has it; `shape` is that of its input (N, C, H, W)."""

    module: nn.Module = field(repr=False)
    shape: tuple[int, ...]
    count: int

    @property
    def name(self) -> str:
        module, (_, channels, height, width) = self.module, self.shape
        where = f"{channels} × {height}×{width}"
        if not isinstance(module, nn.Conv2d):
            return f"{'norm' if isinstance(module, nn.BatchNorm2d) else type(module).__name__}, {where}"
        window = "×".join(str(side) for side in module.kernel_size)
        kind = " depthwise" if 1 < module.groups == module.in_channels else ""
        stride = f" /{module.stride[0]}" if module.stride[0] > 1 else ""
        return f"{window}{kind}{stride}, {where} → {module.out_channels}"


@dataclass(frozen=True)
class Pass:
    """One of `PASSES` of a layer in one precision.

    `error` is the largest difference to float64 as a share of the largest number; `possible` the share of the roofline;
    `ordered` whether channels are innermost in what comes out, as they were in what went in; `own` the seconds of
    compound's own kernel where training uses one instead.
    """

    seconds: float
    gflops: float
    possible: float
    error: float
    ordered: bool
    own: float | None = None


@dataclass(frozen=True)
class LayerTimes:
    """A layer with its passes by precision and name; a layer without weights has no gradient of them."""

    layer: Layer
    passes: dict[tuple[str, str], Pass]


@dataclass(frozen=True)
class Roof:
    """The fastest rates of this machine: operations a second by precision, and bytes a second."""

    flops: dict[str, float]
    bytes: float

    def seconds(self, precision: str, operations: float, moved: float) -> float:
        return max(operations / self.flops[precision], moved / self.bytes)


def roof(threads: int) -> Roof:
    """What products of matrices reach in each precision, and what copying a large array reaches."""
    size = 1024
    flops = {"fp32": peak_gflops(Call(threads=threads)) * 1e9}
    a, b = (torch.rand(size, size).bfloat16() for _ in range(2))
    flops["bf16"] = 2 * size**3 / fastest(lambda: torch.mm(a, b))
    large = torch.rand(1 << 25)
    target = torch.empty_like(large)
    return Roof(flops, 2 * 4 * large.numel() / fastest(lambda: target.copy_(large)))


def distinct_layers(network: Network, batch: int) -> list[Layer]:
    """The convolutions and norms that maps pass through in training, in the order of their first use."""
    model = build(network).train().to(memory_format=torch.channels_last)
    counts: dict[str, int] = {}
    first: dict[str, Layer] = {}

    def note(module: nn.Module, given: tuple[Tensor, ...], _: object) -> None:
        x = given[0]
        if x.dim() == 4 and x.shape[-1] > 1:
            layer = Layer(module, tuple(x.shape), 1)
            key = f"{layer.name} {module.extra_repr()}"
            first.setdefault(key, layer)
            counts[key] = counts.get(key, 0) + 1

    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d):
            module.register_forward_hook(note)
    with torch.no_grad():
        model(_random(batch, network.channels, network.resolution, network.resolution))
    for module in model.modules():
        module._forward_hooks.clear()
    return [Layer(layer.module, layer.shape, counts[key]) for key, layer in first.items()]


def passes(layer: Layer) -> dict[tuple[str, str], Callable[[], Tensor]]:
    """What computes each pass of a layer, by precision and name."""
    return {
        (precision, name): call
        for precision, dtype in PRECISIONS.items()
        for name, call in _calls(*_in(dtype, layer)).items()
    }


def time_layer(layer: Layer, limits: Roof) -> LayerTimes:
    """All passes of a layer in every precision."""
    found = {}
    for precision, dtype in PRECISIONS.items():
        module, x, gradient = _in(dtype, layer)
        calls = _calls(module, x, gradient)
        exact = _calls(copy.deepcopy(module).double(), x.double(), gradient.double())
        convolves = isinstance(module, nn.Conv2d)
        operations = 2 * gradient.numel() * module.weight[0].numel() if isinstance(module, nn.Conv2d) else 0
        moved = _size(x, gradient, *module.parameters())
        for name, call in calls.items():
            seconds = fastest(call)
            least = limits.seconds(precision, operations, moved + (0 if convolves or name == "forward" else _size(x)))
            own = _own(module, name, x, gradient)
            error, ordered = _difference(call(), exact[name]()), name == "weight" or _innermost(call())
            found[precision, name] = Pass(seconds, operations / seconds / 1e9, least / seconds, error, ordered, own)
    return LayerTimes(layer, found)


def _in(dtype: torch.dtype, layer: Layer) -> tuple[nn.Module, Tensor, Tensor]:
    """A layer with an input and a gradient of its output in a precision; norms keep their own numbers in fp32."""
    module = copy.deepcopy(layer.module)
    if isinstance(module, nn.Conv2d):
        module = module.to(dtype)
    x = _random(*layer.shape).to(dtype)
    with torch.no_grad():
        shape = module(x).shape
    return module, x, _random(*shape, seed=1).to(dtype)


def _calls(module: nn.Module, x: Tensor, gradient: Tensor) -> dict[str, Callable[[], Tensor]]:
    """What computes each of `PASSES`: the output, and the gradients of input and weights."""
    leaf, weight = x.detach().requires_grad_(), module.weight
    y = module(leaf)
    assert isinstance(weight, Tensor)

    def forward() -> Tensor:
        with torch.no_grad():
            found: Tensor = module(x)
            return found

    def of(wanted: Tensor) -> Callable[[], Tensor]:
        return lambda: torch.autograd.grad(y, wanted, gradient, retain_graph=True)[0]

    return dict(zip(PASSES, (forward, of(leaf), of(weight)), strict=True))


def _difference(found: Tensor, exact: Tensor) -> float:
    return float((found.double() - exact).abs().max() / exact.abs().max().clamp_min(1e-30))


def _innermost(x: Tensor) -> bool:
    return x.is_contiguous(memory_format=torch.channels_last)


def _own(module: nn.Module, name: str, x: Tensor, gradient: Tensor) -> float | None:
    """Seconds of a convolution's gradient as training computes it, where that is not torch's own way."""
    if name == "forward" or not isinstance(module, nn.Conv2d) or isinstance(module.padding, str):
        return None
    weight, geometry = module.weight.detach(), Geometry(module.stride, module.padding, module.dilation, module.groups)
    wanted = name == "input", name == "weight", False
    if not goes_another_way(gradient, x, weight, geometry, wanted):
        return None
    return fastest(lambda: convolution_backward(gradient, x, weight, geometry, wanted))


def _random(*shape: int, seed: int = 0) -> Tensor:
    found = torch.rand(shape, generator=torch.Generator().manual_seed(seed)) - 0.5
    return found.contiguous(memory_format=torch.channels_last)


def _size(*tensors: Tensor) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
