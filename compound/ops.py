"""The alphabet: the operators a ConvNet is written with, and the few ways to combine them.

An operator is a value. It says its output shape, its learnable parameters and its multiply-adds for a given
input shape; `compound.nn.modules` holds the one torch module of each. A shape is (channels, height, width),
without the batch.

Counting convention: `macs` are the multiply-adds of convolutions and linear layers for one image; biases,
normalisation, activations, pooling and element-wise joins count none. The paper prints this figure as "FLOPS".
"""

import math
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, NamedTuple

from compound.errors import NetworkError
from compound.rounding import Padding, Pair, map_size, padding_pair

Shape = tuple[int, int, int]
Function = Literal[
    "relu", "relu6", "leaky_relu", "swish", "hard_swish", "sigmoid", "hard_sigmoid", "gelu", "tanh", "identity"
]


class Step(NamedTuple):
    """One leaf operator at work: which values it reads, which it makes. Value 0 is the traced input."""

    path: str
    operator: "Operator"
    inputs: tuple[int, ...]
    output: int


class Trace:
    """The leaf operators of an operator tree in order of execution, with the shape of every value.

    Where the map `previous` to the input is read too it is value 1; without one, `self.previous` is the input itself.
    `outlives` is the one of these values, if any, that a later block reads. `apart` says that the parts of the
    outermost chain are modules of their own, so that none holds the input of all. `deployed` is the same as it runs
    after training, where every sum of linear branches is one convolution; most have none and are their own.
    """

    def __init__(
        self,
        operator: "Operator",
        shape: Shape,
        previous: Shape | None = None,
        outlives: int | None = None,
        apart: bool = False,
        folding: bool = False,
    ) -> None:
        self.shapes: list[Shape] = [shape] if previous is None else [shape, previous]
        self.previous = len(self.shapes) - 1
        self.outlives = outlives
        self.apart = apart
        self.held: set[int] = set()  # values that a cell holds to its end, whoever reads them last
        self.steps: list[Step] = []
        self.folding, self.foldable = folding, False
        self.output = operator.trace(self, 0, "")
        self._folded = None
        if self.foldable and not folding:
            self._folded = Trace(operator, shape, previous, outlives, apart, folding=True)

    @property
    def deployed(self) -> "Trace":
        return self._folded or self

    def add(self, path: str, operator: "Operator", *inputs: int) -> int:
        shapes = self.shapes
        shapes.append(operator.out(*[shapes[value] for value in inputs]))
        output = len(shapes) - 1
        self.steps.append(Step(path.rstrip("."), operator, inputs, output))
        return output


@dataclass(frozen=True)
class Operator:
    """A leaf of the alphabet. Subclasses that combine others override `trace` and nothing else."""

    # Which tensors a backward pass of torch keeps for this operator; `cost` counts each tensor once.
    keeps_input: ClassVar[bool] = False
    keeps_output: ClassVar[bool] = False

    def out(self, *shapes: Shape) -> Shape:
        """Output shape for the given input shapes."""
        return shapes[0]

    def params(self, *shapes: Shape) -> int:
        """Learnable numbers."""
        return 0

    def buffers(self, *shapes: Shape) -> int:
        """Numbers that are stored with the weights but not learned by gradient."""
        return 0

    def macs(self, *shapes: Shape) -> int:
        """Multiply-adds for one image."""
        return 0

    def keeps_aside(self, *shapes: Shape) -> int:
        """Numbers a backward pass keeps besides inputs and outputs, in units of four bytes."""
        return 0

    def trace(self, trace: Trace, value: int, path: str) -> int:
        """Write the leaf operators into `trace`; returns the value they end in."""
        return trace.add(path, self, value)


# ------------------------------------------------------------------------------------------- leaves


@dataclass(frozen=True)
class Conv(Operator):
    """k×k convolution to `channels`, (C, H, W) -> (channels, H', W').

    With `standardise`, an ε, the weights of every output have mean 0 and variance 1 / fan-in before a learned gain a
    channel: scaled weight standardisation (Brock et al. 2021, arXiv:2101.08692, Equation 1).
    """

    channels: int
    kernel: int | Pair = 1
    stride: int | Pair = 1
    groups: int = 1
    bias: bool = False
    padding: Padding = "symmetric"
    dilation: int = 1
    standardise: float | None = None

    keeps_input: ClassVar[bool] = True

    @property
    def window(self) -> Pair:
        return self.kernel if isinstance(self.kernel, tuple) else (self.kernel, self.kernel)

    def out(self, *shapes: Shape) -> Shape:
        _, height, width = shapes[0]
        return self.channels, *map_size(height, width, spread(self.window, self.dilation), self.stride, self.padding)

    def weights(self, shape: Shape) -> int:
        kh, kw = self.window
        return self.channels * (shape[0] // self.groups) * kh * kw

    def params(self, *shapes: Shape) -> int:
        each = self.bias + (self.standardise is not None)
        return self.weights(shapes[0]) + self.channels * each

    def macs(self, *shapes: Shape) -> int:
        _, rows, columns = self.out(*shapes)
        return self.weights(shapes[0]) * rows * columns


def spread(window: Pair, dilation: int) -> Pair:
    """Rows and columns that a window reaches over when its positions lie `dilation` apart."""
    return window if dilation == 1 else ((window[0] - 1) * dilation + 1, (window[1] - 1) * dilation + 1)


@dataclass(frozen=True)
class Depthwise(Operator):
    """k×k convolution of every channel by itself, (C, H, W) -> (C, H', W')."""

    kernel: int = 3
    stride: int = 1
    padding: Padding = "symmetric"
    dilation: int = 1

    keeps_input: ClassVar[bool] = True

    def conv(self, channels: int) -> Conv:
        """The grouped convolution this is."""
        return Conv(channels, self.kernel, self.stride, channels, padding=self.padding, dilation=self.dilation)

    def out(self, *shapes: Shape) -> Shape:
        channels, height, width = shapes[0]
        window = spread((self.kernel, self.kernel), self.dilation)
        return channels, *map_size(height, width, window, self.stride, self.padding)

    def params(self, *shapes: Shape) -> int:
        return shapes[0][0] * self.kernel**2

    def macs(self, *shapes: Shape) -> int:
        channels, rows, columns = self.out(*shapes)
        return channels * self.kernel**2 * rows * columns


@dataclass(frozen=True)
class Norm(Operator):
    """Batch normalisation with the paper's convention: running ← decay · running + (1 − decay) · batch."""

    decay: float = 0.99
    eps: float = 1e-3

    keeps_input: ClassVar[bool] = True

    def params(self, *shapes: Shape) -> int:
        return 2 * shapes[0][0]

    def buffers(self, *shapes: Shape) -> int:
        return 2 * shapes[0][0]

    def keeps_aside(self, *shapes: Shape) -> int:
        return 2 * shapes[0][0]  # mean and inverse deviation of the batch, once a batch


@dataclass(frozen=True)
class LayerNorm(Operator):
    """Normalisation of every position over its channels (Ba et al. 2016), as in ConvNeXt; no running statistics."""

    eps: float = 1e-6

    keeps_input: ClassVar[bool] = True

    def params(self, *shapes: Shape) -> int:
        return 2 * shapes[0][0]

    def keeps_aside(self, *shapes: Shape) -> int:
        return 2 * shapes[0][1] * shapes[0][2]  # mean and inverse deviation of every position


@dataclass(frozen=True)
class GroupNorm(Operator):
    """Normalisation of an image's channels in `groups`, over all their positions (Wu and He 2018)."""

    groups: int = 32
    eps: float = 1e-5

    keeps_input: ClassVar[bool] = True

    def out(self, *shapes: Shape) -> Shape:
        if self.groups < 1 or shapes[0][0] % self.groups:
            raise NetworkError(f"a group norm has {self.groups} groups and {shapes[0][0]} channels; use a divisor")
        return shapes[0]

    def params(self, *shapes: Shape) -> int:
        return 2 * shapes[0][0]

    def keeps_aside(self, *shapes: Shape) -> int:
        return 2 * self.groups  # mean and inverse deviation of every group


@dataclass(frozen=True)
class ResponseNorm(Operator):
    """Global response normalisation (Woo et al. 2023, Section 3): x + γ · x · n + β.

    n is the length of a channel over all positions, divided by the mean length of the channels plus `eps`.
    """

    eps: float = 1e-6

    keeps_input: ClassVar[bool] = True

    def params(self, *shapes: Shape) -> int:
        return 2 * shapes[0][0]

    def keeps_aside(self, *shapes: Shape) -> int:
        return 2 * shapes[0][0]  # lengths, and their quotients


@dataclass(frozen=True)
class Activation(Operator):
    """An element-wise function."""

    function: Function = "swish"

    @property
    def keeps_input(self) -> bool:  # type: ignore[override]  # a field decides, in others the class
        return self.function not in ("identity", "relu", "sigmoid", "tanh")

    @property
    def keeps_output(self) -> bool:  # type: ignore[override]  # a field decides, in others the class
        return self.function in ("relu", "sigmoid", "tanh")


@dataclass(frozen=True)
class Pool(Operator):
    """Max or average over a k×k window."""

    kind: Literal["max", "average"] = "max"
    kernel: int = 3
    stride: int = 2
    padding: Padding = "symmetric"
    ceil: bool = False
    count_padding: bool = False  # zeros of the padding count in an average

    keeps_input: ClassVar[bool] = True

    def out(self, *shapes: Shape) -> Shape:
        channels, height, width = shapes[0]
        return channels, *map_size(height, width, (self.kernel, self.kernel), self.stride, self.padding, self.ceil)

    def keeps_aside(self, *shapes: Shape) -> int:
        channels, rows, columns = self.out(*shapes)
        return 2 * channels * rows * columns if self.kind == "max" else 0  # where the maximum was, 8 bytes


@dataclass(frozen=True)
class Blur(Operator):
    """Every `stride`-th position of a map blurred by (1, 2, 1) / 4 along both axes (Zhang 2019).

    Its edge is `mirrored`, or has zeros behind it.
    """

    stride: int = 2
    mirrored: bool = True

    def out(self, *shapes: Shape) -> Shape:
        channels, height, width = shapes[0]
        if self.mirrored and min(height, width) < 2:
            raise NetworkError(f"a blur mirrors the edge of its map, which {height}×{width} has not; use a larger one")
        return channels, *map_size(height, width, (3, 3), self.stride, 1)

    def macs(self, *shapes: Shape) -> int:
        channels, rows, columns = self.out(*shapes)
        return channels * 9 * rows * columns


@dataclass(frozen=True)
class ChannelConv(Operator):
    """Convolution along the channels of (C, 1, 1), with zeros beside them (Wang et al. 2020, ECA-Net)."""

    kernel: int = 3

    keeps_input: ClassVar[bool] = True

    def out(self, *shapes: Shape) -> Shape:
        if shapes[0][1:] != (1, 1):
            raise NetworkError(f"a convolution along the channels reads one position, not {_sizes(shapes)}; pool first")
        return shapes[0]

    def params(self, *shapes: Shape) -> int:
        return self.kernel

    def macs(self, *shapes: Shape) -> int:
        return self.kernel * shapes[0][0]


@dataclass(frozen=True)
class Pad(Operator):
    """Zeros around a map, above and below, left and right; a negative number leaves out as many positions."""

    rows: Pair = (1, 1)
    columns: Pair = (1, 1)

    def out(self, *shapes: Shape) -> Shape:
        channels, height, width = shapes[0]
        return channels, height + sum(self.rows), width + sum(self.columns)


@dataclass(frozen=True)
class Upsample(Operator):
    """Every position repeated `factor` times along both axes."""

    factor: int = 2

    def out(self, *shapes: Shape) -> Shape:
        channels, height, width = shapes[0]
        return channels, height * self.factor, width * self.factor


@dataclass(frozen=True)
class GlobalPool(Operator):
    """Average over all positions, or over `size` × `size` equal parts of them: (C, H, W) -> (C, size, size)."""

    size: int = 1

    def out(self, *shapes: Shape) -> Shape:
        return shapes[0][0], self.size, self.size


@dataclass(frozen=True)
class Flatten(Operator):
    """All numbers as channels, (C, H, W) -> (C · H · W, 1, 1)."""

    def out(self, *shapes: Shape) -> Shape:
        channels, height, width = shapes[0]
        return channels * height * width, 1, 1


@dataclass(frozen=True)
class Slice(Operator):
    """The channels from `start` up to `stop`, (C, H, W) -> (stop − start, H, W)."""

    start: int
    stop: int

    def out(self, *shapes: Shape) -> Shape:
        return self.stop - self.start, *shapes[0][1:]


@dataclass(frozen=True)
class Shuffle(Operator):
    """Channel i of group g becomes channel g of group i (Zhang et al. 2018, ShuffleNet)."""

    groups: int


@dataclass(frozen=True)
class Scale(Operator):
    """A value times a number: fixed, or `learned` from that start, one in all or one a channel."""

    start: float = 1.0
    learned: Literal["no", "one", "channels"] = "no"

    @property
    def keeps_input(self) -> bool:  # type: ignore[override]  # a field decides, in others the class
        return self.learned != "no"

    def params(self, *shapes: Shape) -> int:
        return {"no": 0, "one": 1, "channels": shapes[0][0]}[self.learned]


@dataclass(frozen=True)
class Dropout(Operator):
    """Zeroes a share `rate` of the numbers while training."""

    rate: float = 0.0


@dataclass(frozen=True)
class Linear(Operator):
    """Fully connected layer on the flattened input, (C, H, W) -> (features, 1, 1)."""

    features: int
    bias: bool = True

    keeps_input: ClassVar[bool] = True

    def out(self, *shapes: Shape) -> Shape:
        return self.features, 1, 1

    def macs(self, *shapes: Shape) -> int:
        channels, height, width = shapes[0]
        return self.features * channels * height * width

    def params(self, *shapes: Shape) -> int:
        return self.macs(*shapes) + (self.features if self.bias else 0)


@dataclass(frozen=True)
class Reused(Operator):
    """`operator` with the weights of an earlier one: its multiply-adds, none of its parameters."""

    operator: Operator

    keeps_input: ClassVar[bool] = True

    def out(self, *shapes: Shape) -> Shape:
        return self.operator.out(*shapes)

    def macs(self, *shapes: Shape) -> int:
        return self.operator.macs(*shapes)


@dataclass(frozen=True)
class Add(Operator):
    """Element-wise sum of values of one shape; what a `Residual` ends in."""

    def out(self, *shapes: Shape) -> Shape:
        if len(set(shapes)) > 1:
            raise NetworkError(f"maps of {_sizes(shapes)} cannot be added; give them one shape")
        return shapes[0]


@dataclass(frozen=True)
class Multiply(Operator):
    """A value times a gate of (C, 1, 1), what a `Gate` ends in, or times another of its shape."""

    keeps_input: ClassVar[bool] = True

    def out(self, *shapes: Shape) -> Shape:
        first, *others = shapes
        if len(others) != 1 or others[0] not in (first, (first[0], 1, 1)):
            raise NetworkError(
                f"maps of {_sizes(shapes)} cannot be multiplied; give one and then another of its shape, or its gate"
            )
        return first


@dataclass(frozen=True)
class Join(Operator):
    """Values side by side along the channels; what a `Concat` ends in."""

    def out(self, *shapes: Shape) -> Shape:
        if len({shape[1:] for shape in shapes}) > 1:
            raise NetworkError(f"maps of {_sizes(shapes)} cannot be joined; give them as many rows and columns")
        return sum(shape[0] for shape in shapes), *shapes[0][1:]


def _sizes(shapes: tuple[Shape, ...]) -> str:
    return " and ".join("×".join(map(str, shape)) for shape in shapes)


# ------------------------------------------------------------------------------------- combinations


@dataclass(frozen=True)
class Chain(Operator):
    """One operator after another, each with the name its weights go by."""

    parts: tuple[tuple[str, Operator], ...] = ()

    def __post_init__(self) -> None:
        if len(self.parts) > 1 and len({name for name, _ in self.parts}) < len(self.parts):
            names = ", ".join(name for name, _ in self.parts)
            raise NetworkError(f"two parts of a chain have one name ({names}), so one would replace the other")

    @classmethod
    def of(cls, **parts: Operator | None) -> "Chain":
        """`Chain.of(conv=Conv(8), norm=Norm())`; parts that are None are left out."""
        return cls(tuple([(name, part) for name, part in parts.items() if part is not None]))

    def trace(self, trace: Trace, value: int, path: str) -> int:
        for name, part in self.parts:
            value = part.trace(trace, value, f"{path}{name}.")
        return value


@dataclass(frozen=True)
class Residual(Operator):
    """body(x) + shortcut(x); the shortcut is the identity unless given."""

    body: Operator
    shortcut: Operator = field(default_factory=Chain)

    def trace(self, trace: Trace, value: int, path: str) -> int:
        body = self.body.trace(trace, value, f"{path}body.")
        return trace.add(f"{path}add.", Add(), body, self.shortcut.trace(trace, value, f"{path}shortcut."))


@dataclass(frozen=True)
class Concat(Operator):
    """Every branch on the same input, their outputs side by side."""

    branches: tuple[Operator, ...]

    def trace(self, trace: Trace, value: int, path: str) -> int:
        ends = [branch.trace(trace, value, f"{path}{i}.") for i, branch in enumerate(self.branches)]
        return trace.add(f"{path}join.", Join(), *ends)


@dataclass(frozen=True)
class Sum(Operator):
    """Every branch on the same input, their outputs added, the last two first.

    Where all branches are linear (a convolution and its norm, or a norm alone) `compound.nn.fold` makes one
    convolution of them: structural re-parameterisation (Ding et al. 2021, RepVGG).
    """

    branches: tuple[Operator, ...]

    def folded(self, channels: int) -> Conv | None:
        """The one convolution of an input of `channels` that does the same; None where branches are not so simple.

        All have one stride and the middles of their windows lie over one another. A norm alone, or nothing, is a 1×1
        convolution.
        """
        leaves = [linear(branch) for branch in self.branches]
        convs = [_as_conv(part[0], channels) for part in leaves if part and isinstance(part[0], Conv | Depthwise)]
        norms = [part for part in leaves if not part or (len(part) == 1 and isinstance(part[0], Norm))]
        simple = all(len(part) < 2 or (len(part) == 2 and isinstance(part[1], Norm)) for part in leaves)
        if not convs or len(convs) + len(norms) < len(leaves) or not simple or not all(map(middled, convs)):
            return None
        if len({(conv.stride, conv.groups) for conv in convs}) > 1:
            return None
        largest = max(convs, key=lambda conv: math.prod(conv.window))
        if any(side > whole for conv in convs for side, whole in zip(conv.window, largest.window, strict=True)):
            return None  # windows that cross, of which none covers the other
        return replace(largest, bias=True, standardise=None)

    def trace(self, trace: Trace, value: int, path: str) -> int:
        if one := self.folded(trace.shapes[value][0]):
            trace.foldable = True
            if trace.folding:
                return trace.add(path, one, value)
        ends = [branch.trace(trace, value, f"{path}{i}.") for i, branch in enumerate(self.branches)]
        total = ends.pop()
        for i, end in reversed(list(enumerate(ends))):
            total = trace.add(f"{path}add{i}.", Add(), total, end)
        return total


def linear(operator: Operator) -> list[Operator]:
    """The leaves of a chain in order, without what does nothing in evaluation; another combination by itself."""
    if isinstance(operator, Chain):
        return [leaf for _, part in operator.parts for leaf in linear(part)]
    idle = isinstance(operator, Dropout) or operator == Activation("identity")
    return [] if idle else [operator]


def _as_conv(operator: Operator, channels: int) -> Conv:
    if isinstance(operator, Depthwise):
        return operator.conv(channels)
    assert isinstance(operator, Conv)
    return operator


def middled(conv: Conv) -> bool:
    """Whether the middle of the window lies on every `stride`-th position from the first."""
    odd = conv.dilation == 1 and all(side % 2 for side in conv.window)
    if conv.padding == "same":
        return odd and conv.stride == 1
    pairs = [padding_pair(conv.padding, side, side, 1, axis) for axis, side in enumerate(conv.window)]
    return odd and all(pair == (side // 2, side // 2) for pair, side in zip(pairs, conv.window, strict=True))


@dataclass(frozen=True)
class Gate(Operator):
    """x · gate(x), with a gate of one number a channel (squeeze-and-excitation)."""

    gate: Operator

    def trace(self, trace: Trace, value: int, path: str) -> int:
        gate = self.gate.trace(trace, value, f"{path}gate.")
        return trace.add(f"{path}multiply.", Multiply(), value, gate)


@dataclass(frozen=True)
class Poly(Operator):
    """F(x) + F(act(F(x))) + …, `order` terms, where F is `paths`, then `project` (Zhang et al. 2017, PolyNet).

    The terms share the convolutions of `paths`; norms and `project` are each term's own. Channels stay the same.
    """

    paths: Operator
    project: Operator
    act: Operator
    order: int = 2

    def trace(self, trace: Trace, value: int, path: str) -> int:
        total = value
        for term in range(self.order):
            start = len(trace.steps)
            value = self.paths.trace(trace, value, f"{path}terms.{term}.paths.")
            if term:
                trace.steps[start:] = [
                    step._replace(operator=Reused(step.operator))
                    if isinstance(step.operator, Conv | Depthwise)
                    else step
                    for step in trace.steps[start:]
                ]
            value = self.project.trace(trace, value, f"{path}terms.{term}.project.")
            total = trace.add(f"{path}add{term}.", Add(), total, value) if term else value
            if term + 1 < self.order:
                value = self.act.trace(trace, value, f"{path}act.")
        return total


@dataclass(frozen=True)
class Graph(Operator):
    """A cell (Zoph et al. 2018): states made of two maps, nodes that each add two states, some states side by side.

    State 0 is `current` of the value, state 1 `previous` of the map before it; node i makes state i + 2. A pair is the
    state that is read and the operator it goes through.
    """

    current: Operator
    previous: Operator
    nodes: tuple[tuple[tuple[int, Operator], tuple[int, Operator]], ...]
    joined: tuple[tuple[int, Operator], ...]

    def trace(self, trace: Trace, value: int, path: str) -> int:
        previous = self.previous.trace(trace, trace.previous, f"{path}previous.")
        states = [self.current.trace(trace, value, f"{path}current."), previous]
        for i, ((a, left), (b, right)) in enumerate(self.nodes):
            here = f"{path}nodes.{i}."
            one = left.trace(trace, states[a], f"{here}left.")
            states.append(trace.add(f"{here}add.", Add(), one, right.trace(trace, states[b], f"{here}right.")))
        trace.held.update((value, trace.previous, *states))
        ends = [fit.trace(trace, states[i], f"{path}joined.{n}.") for n, (i, fit) in enumerate(self.joined)]
        return trace.add(f"{path}join.", Join(), *ends)


@dataclass(frozen=True)
class Wiring(Operator):
    """Chains of one value and leaves of several, with what each reads; the last one's value leaves.

    Value 0 is the input, and step i makes value i + 1.
    """

    steps: tuple[tuple[Operator, tuple[int, ...]], ...]

    def trace(self, trace: Trace, value: int, path: str) -> int:
        values = [value]
        for i, (operator, reads) in enumerate(self.steps):
            here, given = f"{path}steps.{i}.", [values[read] for read in reads]
            values.append(
                operator.trace(trace, given[0], here) if len(given) == 1 else trace.add(here, operator, *given)
            )
        return values[-1]
