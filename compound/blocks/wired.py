"""A block that lists its operators and what each of them reads: whatever no other block's pattern is."""

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import Literal

from compound import ops
from compound.blocks.base import Block
from compound.blocks.style import Style
from compound.bounds import MOST_POSITIONS, check_parts
from compound.errors import NetworkError
from compound.ops import Chain, Operator, Pool, Wiring
from compound.rounding import PADDINGS, Padding, Pair, round_channels

Kind = Literal[
    "conv", "norm", "act", "add", "multiply", "join", "part", "shuffle", "scale", "max", "average", "global", "blur",
    "upsample", "pad", "channel_conv", "response_norm", "layer_norm", "group_norm", "batch_norm",
    "relu", "relu6", "leaky_relu", "swish", "hard_swish", "sigmoid", "hard_sigmoid", "gelu", "tanh",
]  # fmt: skip
TOGETHER = ("add", "multiply", "join")  # of several values
WINDOWS = ("conv", "max", "average", "blur")
IN_GROUPS = ("shuffle", "group_norm")
MOST_WIRES = 2000  # operators of one block: NASNet-A-Large, which no single map parts, has 1,121
STAGE = 0  # in the place of a convolution's channels: as many as the stage has
EACH = 0  # in the place of groups: one a channel


@dataclass(frozen=True)
class Wire:
    """One operator of a `Wired` block and the values it `reads`; without any, the one before.

    Value 0 is the block's input and operator i makes value i, from 1. `op` is a convolution, `norm` or `act` (the
    network's), an activation by name, what joins values (`add`, `multiply` by a gate or a map, `join`), pooling (`max`,
    `average`, `global`), `blur`, `upsample` by the stride, `pad` with zeros, `channel_conv`, `part`, `shuffle` in
    groups, `scale`, or a norm by name with its own `eps`, `decay` and groups.

    A convolution has `channels`, 0 for the stage's, or as many as the value `like` has; `groups` 0 makes it depthwise,
    whose channels are those that it reads.
    `part` (i, j, n) is what lies from the i-th to the j-th of n equal parts of the channels. A scale is learned from
    `start`, one number in all or one a channel, unless `learned` is no.
    """

    op: Kind
    reads: tuple[int, ...] = ()
    channels: int = STAGE
    like: int | None = None
    kernel: int | Pair = 1
    stride: int | Pair = 1
    groups: int = 1
    bias: bool = False
    standardise: float | None = None  # an ε, of a convolution with standardised weights
    padding: Padding | None = None  # None: the network's
    dilation: int = 1
    ceil: bool = False
    count_padding: bool = False
    part: tuple[int, int, int] = (0, 1, 1)
    start: float = 1.0
    learned: Literal["no", "one", "channels"] = "no"
    size: int = 1  # positions a side that global pooling leaves
    mirrored: bool = True  # the edge of a blur
    rows: Pair = (0, 0)  # zeros of a pad: above and below
    columns: Pair = (0, 0)  # left and right
    eps: float = 1e-5
    decay: float = 0.9

    def check(self) -> None:
        """Raise `NetworkError` when a field is impossible by itself."""
        for name in ("kernel", "stride"):
            sides = getattr(self, name)
            if min(sides if isinstance(sides, tuple) else (sides,)) < 1:
                raise NetworkError(f"{name} {sides} is not positive; use 1 or more")
        if min(self.channels, self.groups) < 0 or self.dilation < 1 or self.size < 1:
            raise NetworkError("channels and groups are at least 0, dilation and size at least 1")
        grown = self.stride if self.op == "upsample" and isinstance(self.stride, int) else 1
        check_parts("positions", max(self.size, grown, *self.rows, *self.columns), MOST_POSITIONS)
        i, j, n = self.part
        if not 0 <= i < j <= n:
            raise NetworkError(f"part {list(self.part)} is none; use e.g. [0, 1, 2] for the first half")
        if self.op in IN_GROUPS and self.groups < 1:
            raise NetworkError(f"{self.op} has at least one group; use e.g. 2")
        if isinstance(self.padding, str) and self.padding not in (*PADDINGS, "shifted"):
            raise NetworkError(f"padding {self.padding!r} is unknown; use {', '.join(PADDINGS)}, or positions")
        square = isinstance(self.kernel, int) and isinstance(self.stride, int)
        if self.op not in ("conv",) and not square:
            raise NetworkError(f"{self.op} over {self.kernel} by {self.stride} is not possible; use single numbers")
        if not (0 < self.eps < math.inf and 0 <= self.decay <= 1 and math.isfinite(self.start)):
            raise NetworkError(f"eps {self.eps}, decay {self.decay} or start {self.start} is impossible; use e.g. 1e-5")
        if self.op == "channel_conv" and self.kernel % 2 == 0:  # type: ignore[operator]  # by the line above
            raise NetworkError(f"kernel {self.kernel} is even; use 3 or 5")


@dataclass(frozen=True)
class Wired(Block):
    """Operators wired as `wires` lists them; the last one's value leaves the block.

    Strides stand in the wires, and the stage's stride is what they make together. A block that changes its input's
    shape is not repeated: give its stage `fixed=("depth",)`, and write what follows as a stage of its own.
    """

    strides_of_stage = range(1, 33)

    wires: tuple[Wire, ...]

    def check(self, inp: int, out: int) -> None:
        check_parts("wires", len(self.wires), MOST_WIRES)
        if not self.wires:
            raise NetworkError("wires is empty; list at least one, such as [{op: conv, kernel: 3}]")
        for number, wire in enumerate(self.wires, 1):
            with_number(number, wire)
        read = {i for number, wire in enumerate(self.wires, 1) for i in reads(number, wire)}
        for number in range(1, len(self.wires)):
            if number not in read:
                raise NetworkError(f"wire {number} is read by nothing; leave it out, or let another read it")
        self.widths(inp, out)

    def widths(self, inp: int, out: int) -> list[int]:
        """The channels of every value, the input's first. Raises `NetworkError` where they do not fit together."""
        found = [inp]
        for number, wire in enumerate(self.wires, 1):
            given = [found[i] for i in reads(number, wire)]
            found.append(width(number, wire, given, found, out))
        return found

    @property
    def keeps_channels(self) -> bool:
        """Whether as many channels leave as enter, however many they are."""
        try:
            return all(self.widths(n * self.multiple, n * self.multiple + 1)[-1] == n * self.multiple for n in (2, 3))
        except NetworkError:
            return False

    def out_channels(self, inp: int, out: int, stride: int = 1) -> int:
        return self.widths(inp, out)[-1]

    def stage_channels(self, inp: int, wanted: int) -> int:
        return self.out_channels(inp, wanted)

    @property
    def multiple(self) -> int:
        """Channels fill whole groups and parts."""
        needs = [max(wire.groups, 1) for wire in self.wires] + [wire.part[2] for wire in self.wires]
        return math.lcm(*needs)

    def widened(self, width: float, divisor: int) -> "Wired":
        multiple = math.lcm(divisor, self.multiple)

        def wider(wire: Wire) -> Wire:
            if wire.op != "conv" or wire.channels == STAGE or wire.like is not None:
                return wire
            return replace(wire, channels=round_channels(wire.channels * width, multiple))

        return replace(self, wires=tuple(map(wider, self.wires)))

    @property
    def strides(self) -> tuple[int, ...]:
        """How many positions of the input lie between two of each value."""
        found = [1]
        for number, wire in enumerate(self.wires, 1):
            step = wire.stride if isinstance(wire.stride, int) else max(wire.stride)
            reach = max(found[i] for i in reads(number, wire))
            found.append(reach * step if wire.op in WINDOWS else reach // step if wire.op == "upsample" else reach)
        return tuple(found)

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        if stride != self.strides[-1] and not any(wire.op == "global" for wire in self.wires):
            raise NetworkError(
                f"the wires stride by {self.strides[-1]} and the stage by {stride}; a block that strides is not "
                "repeated, and its stage says the same stride"
            )
        widths = self.widths(inp, out)
        return Wiring(tuple(steps(self.wires, widths, style)))


def reads(number: int, wire: Wire) -> tuple[int, ...]:
    """The values that operator `number` reads."""
    return wire.reads or (number - 1,)


def with_number(number: int, wire: Wire) -> None:
    """Raise `NetworkError` where a wire is impossible in its place."""
    try:
        wire.check()
    except NetworkError as error:
        raise type(error)(f"wire {number}: {error}") from None
    given = reads(number, wire)
    if not all(0 <= i < number for i in (*given, wire.like or 0)):
        raise NetworkError(f"wire {number} reads or is like a value that comes later; use 0 to {number - 1}")
    if (len(given) > 1) != (wire.op in TOGETHER):
        raise NetworkError(f"wire {number}: {wire.op} of {len(given)} values is not possible")


def width(number: int, wire: Wire, given: list[int], found: list[int], out: int) -> int:
    """The channels that leave a wire which is `given` so many."""
    if wire.op == "conv":
        channels = (wire.channels or out) if wire.like is None else found[wire.like]
        if wire.groups == EACH:
            return given[0]
        groups = wire.groups
        if given[0] % groups or channels % groups:
            raise NetworkError(f"wire {number}: {given[0]} and {channels} channels do not make {groups} groups")
        return channels
    if wire.op == "join":
        return sum(given)
    if wire.op in TOGETHER and len(set(given)) > 1:
        raise NetworkError(f"wire {number}: {wire.op} of {' and '.join(map(str, given))} channels is not possible")
    i, j, n = wire.part
    if wire.op == "part" and given[0] % n:
        raise NetworkError(f"wire {number}: {given[0]} channels do not make {n} parts")
    if wire.op in IN_GROUPS and given[0] % wire.groups:
        raise NetworkError(f"wire {number}: {given[0]} channels do not make {wire.groups} groups")
    return given[0] // n * (j - i) if wire.op == "part" else given[0]


def steps(wires: tuple[Wire, ...], widths: list[int], style: Style) -> list[tuple[Operator, tuple[int, ...]]]:
    """Chains of what is read by the next operator alone, and what joins values, with the values they read."""
    readers = Counter(i for number, wire in enumerate(wires, 1) for i in set(reads(number, wire)))
    parts: list[list[tuple[str, Operator]]] = []
    given: list[tuple[int, ...]] = []
    made = {0: 0}  # the step's value that each wire's is, once no operator follows it in its chain
    ends: dict[int, int] = {}  # the step that a value is the end of
    for number, wire in enumerate(wires, 1):
        read = reads(number, wire)
        one = operator(wire, widths[read[0]], widths[number], style)
        if len(read) == 1 and readers[read[0]] == 1 and read[0] in ends:
            step = ends[read[0]]
        else:
            step = len(parts)
            parts.append([])
            given.append(tuple(made[i] for i in read))
        parts[step].append((f"{wire.op}{number}", one))
        made[number] = step + 1
        if len(read) == 1:
            ends[number] = step
    chains = [chain[0][1] if len(read) > 1 else Chain(tuple(chain)) for chain, read in zip(parts, given, strict=True)]
    return list(zip(chains, given, strict=True))


def operator(wire: Wire, inp: int, out: int, style: Style) -> Operator:
    """The operator of a wire from `inp` to `out` channels."""
    padding = style.padding if wire.padding is None else wire.padding
    match wire.op:
        case "conv":
            groups = wire.groups or inp
            window = (wire.kernel, wire.stride, groups, wire.bias, padding, wire.dilation)
            return ops.Conv(out, *window, wire.standardise)
        case "max" | "average":
            assert isinstance(wire.kernel, int)
            assert isinstance(wire.stride, int)
            return Pool(wire.op, wire.kernel, wire.stride, padding, wire.ceil, wire.count_padding)
        case "norm":
            return style.normed() or Chain()
        case "act":
            return style.act()
        case "part":
            i, j, n = wire.part
            return ops.Slice(inp // n * i, inp // n * j)
        case "scale":
            return ops.Scale(wire.start, wire.learned)
    assert isinstance(wire.kernel, int)
    assert isinstance(wire.stride, int)
    others: dict[str, Operator] = {
        "add": ops.Add(),
        "multiply": ops.Multiply(),
        "join": ops.Join(),
        "shuffle": ops.Shuffle(wire.groups),
        "global": ops.GlobalPool(wire.size),
        "blur": ops.Blur(wire.stride, wire.mirrored),
        "upsample": ops.Upsample(wire.stride),
        "pad": ops.Pad(wire.rows, wire.columns),
        "channel_conv": ops.ChannelConv(wire.kernel),
        "response_norm": ops.ResponseNorm(wire.eps),
        "layer_norm": ops.LayerNorm(wire.eps),
        "group_norm": ops.GroupNorm(wire.groups, wire.eps),
        "batch_norm": ops.Norm(wire.decay, wire.eps),
    }
    return others[wire.op] if wire.op in others else ops.Activation(wire.op)  # type: ignore[arg-type]  # what is left is a function
