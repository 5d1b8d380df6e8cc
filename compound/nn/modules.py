"""The one torch module of each operator.

`make(operator, shape, drop)` turns an operator, applied to an input of `shape` (channels, height, width), into a
module. `drop` is the stochastic-depth rate of the block the operator stands in; a `Residual` uses it.
"""

from collections import OrderedDict
from functools import singledispatch

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from compound import ops
from compound.nn.sources import gated
from compound.ops import Operator, Shape, Trace
from compound.rounding import Padding, padding_pair

FUNCTIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "leaky_relu": nn.LeakyReLU,
    "swish": nn.SiLU,
    "hard_swish": nn.Hardswish,
    "sigmoid": nn.Sigmoid,
    "hard_sigmoid": nn.Hardsigmoid,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "identity": nn.Identity,
}


@singledispatch
def make(operator: Operator, shape: Shape, drop: float = 0.0) -> nn.Module:
    """The module of `operator` on an input of `shape`."""
    raise TypeError(f"operator {type(operator).__name__} has no torch module; register one with make.register")


@make.register
def _(operator: ops.Conv, shape: Shape, drop: float = 0.0) -> nn.Module:
    conv = {"same": SameConv2d, "shifted": ShiftedConv2d}.get(str(operator.padding), nn.Conv2d)
    if operator.standardise is not None:
        return StandardisedConv2d(operator, shape[0])
    reach = ops.spread(operator.window, operator.dilation)
    rows, columns = (padding_pair(operator.padding, 0, k, 1, axis)[0] for axis, k in enumerate(reach))
    return conv(
        shape[0],
        operator.channels,
        operator.window,
        operator.stride,
        padding=(rows, columns) if conv is nn.Conv2d else 0,
        dilation=operator.dilation,
        groups=operator.groups,
        bias=operator.bias,
    )


@make.register
def _(operator: ops.Depthwise, shape: Shape, drop: float = 0.0) -> nn.Module:
    return make(operator.conv(shape[0]), shape)


@make.register
def _(operator: ops.Norm, shape: Shape, drop: float = 0.0) -> nn.Module:
    # The one place where the paper's decay becomes PyTorch's momentum.
    return nn.BatchNorm2d(shape[0], eps=operator.eps, momentum=round(1 - operator.decay, 12))


@make.register
def _(operator: ops.LayerNorm, shape: Shape, drop: float = 0.0) -> nn.Module:
    return LayerNorm2d(shape[0], operator.eps)


@make.register
def _(operator: ops.GroupNorm, shape: Shape, drop: float = 0.0) -> nn.Module:
    return nn.GroupNorm(operator.groups, shape[0], operator.eps)


@make.register
def _(operator: ops.ChannelConv, shape: Shape, drop: float = 0.0) -> nn.Module:
    return ChannelConv(operator.kernel)


@make.register
def _(operator: ops.Blur, shape: Shape, drop: float = 0.0) -> nn.Module:
    return Blur(operator.stride, operator.mirrored)


@make.register
def _(operator: ops.Pad, shape: Shape, drop: float = 0.0) -> nn.Module:
    return nn.ZeroPad2d((*operator.columns, *operator.rows))


@make.register
def _(operator: ops.Upsample, shape: Shape, drop: float = 0.0) -> nn.Module:
    return nn.Upsample(scale_factor=operator.factor)


@make.register
def _(operator: ops.ResponseNorm, shape: Shape, drop: float = 0.0) -> nn.Module:
    return ResponseNorm2d(shape[0], operator.eps)


@make.register
def _(operator: ops.Activation, shape: Shape, drop: float = 0.0) -> nn.Module:
    return FUNCTIONS[operator.function]()


@make.register
def _(operator: ops.Pool, shape: Shape, drop: float = 0.0) -> nn.Module:
    return Pool2d(operator)


@make.register
def _(operator: ops.GlobalPool, shape: Shape, drop: float = 0.0) -> nn.Module:
    return nn.AdaptiveAvgPool2d(operator.size)


@make.register
def _(operator: ops.Flatten, shape: Shape, drop: float = 0.0) -> nn.Module:
    return nn.Flatten()


@make.register
def _(operator: ops.Shuffle, shape: Shape, drop: float = 0.0) -> nn.Module:
    return nn.ChannelShuffle(operator.groups)


@make.register
def _(operator: ops.Slice, shape: Shape, drop: float = 0.0) -> nn.Module:
    return Slice(operator.start, operator.stop)


@make.register
def _(operator: ops.Scale, shape: Shape, drop: float = 0.0) -> nn.Module:
    return Scale(operator.start, operator.learned, shape[0])


@make.register
def _(operator: ops.Dropout, shape: Shape, drop: float = 0.0) -> nn.Module:
    return nn.Dropout(operator.rate)


@make.register
def _(operator: ops.Linear, shape: Shape, drop: float = 0.0) -> nn.Module:
    channels, height, width = shape
    return Flattened(channels * height * width, operator.features, operator.bias)


@make.register
def _(operator: ops.Chain, shape: Shape, drop: float = 0.0) -> nn.Module:
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    for name, part in operator.parts:
        modules[name] = make(part, shape, drop)
        shape = after(part, shape)
    return nn.Sequential(modules)


@make.register
def _(operator: ops.Residual, shape: Shape, drop: float = 0.0) -> nn.Module:
    return Residual(make(operator.body, shape, drop), make(operator.shortcut, shape, drop), drop)


@make.register
def _(operator: ops.Concat, shape: Shape, drop: float = 0.0) -> nn.Module:
    return Concat(make(branch, shape, drop) for branch in operator.branches)


@make.register
def _(operator: ops.Sum, shape: Shape, drop: float = 0.0) -> nn.Module:
    return Sum(make(branch, shape, drop) for branch in operator.branches)


@make.register
def _(operator: ops.Graph, shape: Shape, drop: float = 0.0, previous: Shape | None = None) -> nn.Module:
    return Graph(operator, shape, previous or shape, drop)


@make.register
def _(operator: ops.Wiring, shape: Shape, drop: float = 0.0) -> nn.Module:
    return Wiring(operator, shape, drop)


@make.register
def _(operator: ops.Gate, shape: Shape, drop: float = 0.0) -> nn.Module:
    return Gate(make(operator.gate, shape, drop))


@make.register
def _(operator: ops.Reused, shape: Shape, drop: float = 0.0) -> nn.Module:
    return make(operator.operator, shape, drop)  # by itself it has nobody to borrow from; a `Poly` lends


@make.register
def _(operator: ops.Poly, shape: Shape, drop: float = 0.0) -> nn.Module:
    inner = after(operator.paths, shape)
    terms = [(make(operator.paths, shape, drop), make(operator.project, inner, drop)) for _ in range(operator.order)]
    return Poly(terms, make(operator.act, shape))


def after(operator: Operator, shape: Shape) -> Shape:
    """The shape that leaves `operator`."""
    trace = Trace(operator, shape)
    return trace.shapes[trace.output]


class SameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's "same" padding, at any input size; the odd zero goes behind."""

    rule: Padding = "same"

    def filters(self) -> Tensor:
        """The weights that are applied."""
        return self.weight

    def forward(self, x: Tensor) -> Tensor:
        x, padding = self.padded(x)
        return F.conv2d(x, self.filters(), self.bias, self.stride, padding, self.dilation, self.groups)

    def padded(self, x: Tensor) -> tuple[Tensor, list[int]]:
        """x, and how many zeros the convolution is to add on both sides; a copy of x only where they are uneven."""
        sides = left, right, top, bottom = self.sides(x)
        if (top, left) == (bottom, right):
            return x, [top, left]
        return F.pad(x, sides), [0, 0]

    def sides(self, x: Tensor) -> tuple[int, int, int, int]:
        """The zeros left, right, above and below x; a negative number leaves out as many positions."""
        high, wide = self.kernel_size
        (kh, kw), (down, along) = ops.spread((high, wide), self.dilation[0]), self.stride
        columns = padding_pair(self.rule, x.shape[-1], kw, along, 1)
        return *columns, *padding_pair(self.rule, x.shape[-2], kh, down, 0)


class ShiftedConv2d(SameConv2d):
    """Convolution that begins one position later and ends in a zero behind the map."""

    rule = "shifted"


class StandardisedConv2d(SameConv2d):
    """Convolution whose weights are standardised over the fan-in of each output and multiplied by a learned gain."""

    def __init__(self, operator: ops.Conv, channels: int) -> None:
        super().__init__(
            channels,
            operator.channels,
            operator.window,
            operator.stride,
            dilation=operator.dilation,
            groups=operator.groups,
            bias=operator.bias,
        )
        self.rule = operator.padding
        self.eps = operator.standardise
        self.gain = nn.Parameter(torch.ones(operator.channels, 1, 1, 1))

    def filters(self) -> Tensor:
        variance, mean = torch.var_mean(self.weight, (1, 2, 3), correction=0, keepdim=True)
        scale = self.gain * self.weight[0].numel() ** -0.5
        assert self.eps is not None  # else it is no standardised convolution
        filters: Tensor = (self.weight - mean) * torch.rsqrt(variance + self.eps) * scale
        return filters


class Pool2d(nn.Module):
    """Max or average over a window; padding never counts in a maximum, and in a mean only where the operator says."""

    def __init__(self, operator: ops.Pool) -> None:
        super().__init__()
        self.operator = operator

    def forward(self, x: Tensor) -> Tensor:
        o = self.operator
        height, width = (int(size) for size in x.shape[-2:])  # for OpenVINO, whose pools have constant padding
        top, bottom = padding_pair(o.padding, height, o.kernel, o.stride, 0)
        left, right = padding_pair(o.padding, width, o.kernel, o.stride, 1)
        sides = (left, right, top, bottom)
        uneven = (top, left) != (bottom, right)
        padding = (0, 0) if uneven else (top, left)
        if o.kind == "max":
            x = F.pad(x, sides, value=-torch.inf) if uneven else x
            return F.max_pool2d(x, o.kernel, o.stride, padding, ceil_mode=o.ceil)

        def mean(x: Tensor) -> Tensor:
            return F.avg_pool2d(x, o.kernel, o.stride, padding, ceil_mode=o.ceil, count_include_pad=o.count_padding)

        if o.count_padding:
            return mean(F.pad(x, sides) if uneven else x)
        # The share of real positions in each window takes the padding out of the mean.
        return mean(F.pad(x, sides)) / mean(F.pad(torch.ones_like(x[:1, :1]), sides)) if uneven else mean(x)

    def extra_repr(self) -> str:
        return str(self.operator)


class Flattened(nn.Linear):
    """Linear on the flattened input: (N, C, H, W) -> (N, features)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.flatten(1))


class LayerNorm2d(nn.LayerNorm):
    """Layer norm over the channels of (N, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ResponseNorm2d(nn.Module):
    """Global response normalisation of (N, C, H, W); the identity until it is trained."""

    def __init__(self, channels: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.zeros(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        length: Tensor = torch.linalg.vector_norm(x, dim=(2, 3), keepdim=True)
        share = length / (length.mean(1, keepdim=True) + self.eps)
        # x + gain · x · share + bias in one pass, without maps in between
        return torch.addcmul(self.bias[:, None, None], x, 1 + share * self.weight[:, None, None])


class ChannelConv(nn.Conv1d):
    """Convolution along the channels of (N, C, 1, 1)."""

    def __init__(self, kernel: int) -> None:
        super().__init__(1, 1, kernel, padding=kernel // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.flatten(2).transpose(1, 2)).transpose(1, 2).unsqueeze(3)


class Blur(nn.Module):
    """Binomial blur of (N, C, H, W)."""

    weight: Tensor

    def __init__(self, stride: int, mirrored: bool) -> None:
        super().__init__()
        self.stride, self.mode = stride, "reflect" if mirrored else "constant"
        row = torch.tensor((0.25, 0.5, 0.25))
        self.register_buffer("weight", row[:, None] * row, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        weight = self.weight.to(x.dtype).expand(channels, 1, 3, 3)
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode=self.mode), weight, None, self.stride, groups=channels)


class Slice(nn.Module):
    """Some of the channels, as a view."""

    def __init__(self, start: int, stop: int) -> None:
        super().__init__()
        self.start, self.stop = start, stop

    def forward(self, x: Tensor) -> Tensor:
        return x[:, self.start : self.stop]


class Scale(nn.Module):
    """x times a number, learned or not; one a channel is shaped (C, 1, 1)."""

    def __init__(self, start: float, learned: str, channels: int) -> None:
        super().__init__()
        self.factor: nn.Parameter | float = start
        if learned != "no":
            shape = (channels, 1, 1) if learned == "channels" else ()
            self.factor = nn.Parameter(torch.full(shape, start))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


class Residual(nn.Module):
    """body(x), dropped with rate `drop` image by image while training, plus shortcut(x)."""

    def __init__(self, body: nn.Module, shortcut: nn.Module, drop: float) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut
        self.drop = StochasticDepth(drop, "row")

    def forward(self, x: Tensor) -> Tensor:
        sum_: Tensor = self.drop(self.body(x)) + self.shortcut(x)
        return sum_


class Concat(nn.ModuleList):
    """Every branch on x, side by side along the channels."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self], dim=1)


class Sum(nn.ModuleList):
    """Every branch on x, added; the last two first."""

    def forward(self, x: Tensor) -> Tensor:
        *others, last = self
        total: Tensor = last(x)
        for branch in reversed(others):
            total = total + branch(x)
        return total


class Gate(nn.Module):
    """x · gate(x)."""

    def __init__(self, gate: nn.Module) -> None:
        super().__init__()
        self.gate = gate

    def forward(self, x: Tensor) -> Tensor:
        return gated(x, self.gate(x))


class Poly(nn.Module):
    """F₁(x) + F₂(act(F₁(x))) + …; the later terms borrow the first one's convolutions and have their own norms."""

    def __init__(self, terms: list[tuple[nn.Module, nn.Module]], act: nn.Module) -> None:
        super().__init__()
        named = [OrderedDict(paths=paths, project=project) for paths, project in terms]
        self.terms = nn.ModuleList(nn.Sequential(parts) for parts in named)
        self.act = act
        first, *later = [paths for paths, _ in terms]
        for paths in later:
            for name, module in list(first.named_modules()):
                if isinstance(module, nn.Conv2d):
                    paths.set_submodule(name, Borrowed(module))

    def forward(self, x: Tensor) -> Tensor:
        first, *later = self.terms
        total: Tensor = first(x)
        x = total
        for term in later:
            x = term(self.act(x))
            total = total + x
        return total


class Borrowed(nn.Module):
    """A module that stands elsewhere in the tree: listed, saved and trained there only."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.lender = (module,)  # a tuple, so that torch does not register it here as well

    def forward(self, x: Tensor) -> Tensor:
        borrowed: Tensor = self.lender[0](x)
        return borrowed


class Graph(nn.Module):
    """A cell: states made of x and of the map before it, nodes that each add two, some states side by side.

    While training, whatever is not the identity is dropped with rate `drop` image by image.
    """

    def __init__(self, operator: ops.Graph, shape: Shape, previous: Shape, drop: float) -> None:
        super().__init__()
        self.operator = operator
        self.previous = make(operator.previous, previous)
        self.current = make(operator.current, shape)
        shapes = [after(operator.current, shape), after(operator.previous, previous)]
        self.nodes = nn.ModuleList()
        for (a, left), (b, right) in operator.nodes:
            self.nodes.append(
                nn.ModuleDict({"left": dropped(left, shapes[a], drop), "right": dropped(right, shapes[b], drop)})
            )
            shapes.append(after(left, shapes[a]))
        self.joined = nn.ModuleList(make(fit, shapes[i]) for i, fit in operator.joined)

    def forward(self, x: Tensor, previous: Tensor | None = None) -> Tensor:
        before = self.previous(x if previous is None else previous)
        states = [self.current(x), before]
        for ((a, _), (b, _)), node in zip(self.operator.nodes, self.nodes, strict=True):
            assert isinstance(node, nn.ModuleDict)
            states.append(node["left"](states[a]) + node["right"](states[b]))
        return torch.cat([fit(states[i]) for (i, _), fit in zip(self.operator.joined, self.joined, strict=True)], dim=1)


class Wiring(nn.Module):
    """Values by number, the input's 0; a value is let go when nothing reads it any more.

    While training, what is added to the input is dropped with rate `drop` image by image.
    """

    def __init__(self, operator: ops.Wiring, shape: Shape, drop: float) -> None:
        super().__init__()
        self.reads = [reads for _, reads in operator.steps]
        self.last = {value: i for i, reads in enumerate(self.reads) for value in reads}
        self.drop = StochasticDepth(drop, "row")
        self.steps = nn.ModuleList()
        shapes = [shape]
        for step, reads in operator.steps:
            given = [shapes[value] for value in reads]
            self.steps.append(TOGETHER[type(step)]() if len(reads) > 1 else make(step, given[0]))
            shapes.append(step.out(*given) if len(reads) > 1 else after(step, given[0]))
        self.channels = shapes[-1][0]

    def forward(self, x: Tensor) -> Tensor:
        values = {0: x}
        for i, (step, reads) in enumerate(zip(self.steps, self.reads, strict=True)):
            given = [values[value] for value in reads]
            if isinstance(step, Added) and 0 in reads:
                given = [one if value == 0 else self.drop(one) for value, one in zip(reads, given, strict=True)]
            values[i + 1] = step(*given)
            for value in set(reads):
                if self.last[value] == i:
                    del values[value]
        return values[len(self.reads)]


class Added(nn.Module):
    """The sum of values."""

    def forward(self, x: Tensor, *others: Tensor) -> Tensor:
        for other in others:
            x = x + other
        return x


class Multiplied(nn.Module):
    """A value times another of its shape, or times a gate."""

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        return x * other if x.shape == other.shape else gated(x, other)


class Joined(nn.Module):
    """Values side by side along the channels."""

    def forward(self, *values: Tensor) -> Tensor:
        return torch.cat(values, dim=1)


TOGETHER: dict[type[Operator], type[nn.Module]] = {ops.Add: Added, ops.Multiply: Multiplied, ops.Join: Joined}


def dropped(operator: Operator, shape: Shape, drop: float) -> nn.Module:
    """The module of `operator` with stochastic depth behind it; the identity is never dropped."""
    module = make(operator, shape)
    if drop and isinstance(module, nn.Sequential) and len(module):
        module.append(StochasticDepth(drop, "row"))
    return module


class Carrying(nn.Sequential):
    """Blocks of which some also read the map before their input: (x, previous) -> (x, previous)."""

    def __init__(self, blocks: OrderedDict[str, nn.Module], keeping: list[bool]) -> None:
        super().__init__(blocks)
        self.keeping = keeping

    def forward(  # type: ignore[override]  # its blocks read two maps
        self, x: Tensor, previous: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        for block, keep in zip(self, self.keeping, strict=True):
            output = block(x, previous) if isinstance(block, Graph) else block(x)
            x, previous = output, previous if keep and previous is not None else x
        return x, previous
