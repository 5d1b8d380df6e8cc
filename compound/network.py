"""A network is data: stem, stages, head (Equation 1).

    N = F_s^{L_s} ⊙ … ⊙ F_1^{L_1} (X⟨H, W, C⟩)

`Stage(block, layers, channels, stride)` is one row of the paper's Table 1. `Network.blocks()` resolves the rows
into every single block with its shapes; cost, build, table and drawing are folds over those.
"""

import math
from collections.abc import Iterator, Sized
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, Protocol

from compound.blocks import Block, SqueezeExcite, Style, block_name, place
from compound.bounds import check_blocks, check_number, check_numbers, check_operators
from compound.errors import NetworkError
from compound.head import Head, place_head
from compound.markup import html_table
from compound.ops import Operator, Shape, Trace

Dimension = Literal["depth", "width"]
COLUMNS = ("stage", "operator", "resolution", "channels", "layers", "stride")  # of a network's table


@dataclass(frozen=True)
class Stage:
    """F_i repeated L_i times on C_i channels; the first repeat has the stride. `fixed` dimensions do not scale."""

    block: Block
    layers: int
    channels: int
    stride: int = 1
    fixed: tuple[Dimension, ...] = ()

    def check(self, inp: int) -> None:
        """Raise `NetworkError` when a field is impossible for `inp` channels from the stage before."""
        if self.layers < 1:
            raise NetworkError(f"layers {self.layers} is less than one; use 1 or more, or drop the stage")
        if self.channels < 1:
            raise NetworkError(f"channels {self.channels} is less than one; use a multiple of 8, such as 16")
        if self.stride not in self.block.strides_of_stage:
            raise NetworkError(f"stride {self.stride} is not possible; use 1 to keep the resolution or 2 to halve it")
        for channels in {inp, self.channels} if self.layers > 1 else {inp}:
            self.block.check(channels, self.channels)

    def out_channels(self, inp: int) -> int:
        """Channels that leave the last repeat."""
        check_blocks(self.layers, self.layers)  # a factor may have made more than can be counted through
        for repeat in range(self.layers):
            before, inp = inp, self.block.out_channels(inp, self.channels, 1 if repeat else self.stride)
            if repeat and inp == before:  # so all further ones keep them, too
                break
        return inp


@dataclass(frozen=True)
class Inputs:
    """How a photo becomes the network's input: the preprocessing that travels with the weights.

    `fit` says how an image of any shape meets the square: `crop` takes the central square with a border of
    `margin` px left out (the paper's evaluation: side · size / (size + 32)) or, with `share`, of this share of the
    shorter side (0.875 in the official code since 2021); `squash` ignores the aspect ratio, `pad` fits the longer side
    and fills up. `mean` and `std` are in units of the 0–1 range, one number or one a channel.
    """

    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    interpolation: Literal["bicubic", "bilinear", "nearest"] = "bicubic"
    fit: Literal["crop", "squash", "pad"] = "crop"
    margin: int = 32
    share: float | None = None

    def check(self) -> None:
        """Raise `NetworkError` when a field is impossible."""
        if not all(map(math.isfinite, self.mean)):
            raise NetworkError(f"mean {self.mean} is subtracted; use numbers, such as 0.485")
        if not all(0 < value < math.inf for value in self.std):
            raise NetworkError(f"std {self.std} divides; use numbers above 0, such as 0.225")
        if self.margin < 0:
            raise NetworkError(f"margin {self.margin} is less than no pixel; use 0 or more, such as 32")
        if self.share is not None and not 0 < self.share <= 1:
            raise NetworkError(f"share {self.share} is not of the image; use e.g. 0.875")

    def crop(self, short: int, resolution: int) -> int:
        """Pixels of the central square of an image whose shorter side is `short`."""
        side = short * resolution / (resolution + self.margin) if self.share is None else short * self.share
        return max(int(side), 1)


class Row(NamedTuple):
    """One block in its place. `stage` counts from 1; the stem is stage 0 and the head comes after the last.

    `previous` is for blocks that read a second map: the index of the row that has it as its input.
    """

    stage: int
    label: str
    repeat: int
    block: Block | Head
    operator: Operator
    trace: Trace
    input: Shape
    output: Shape
    survival: float
    previous: int | None = None


LARGE_RESOLUTION = 2048  # px; the largest published is 800 (EfficientNet-L2)
LARGE_WINDOW = 11  # positions of the widest usual kernel (AlexNet), which small maps may be smaller than


def widest_window(row: Row) -> int:
    """Positions of the longest side of a window in the block."""
    kernels = [getattr(step.operator, "kernel", 1) for step in row.trace.steps]
    return max((max(kernel) if isinstance(kernel, tuple) else kernel for kernel in kernels), default=1)


class Labelled(Protocol):
    """What a network is made for: names of classes, and images of so many channels. Data sets and weights have both."""

    @property
    def classes(self) -> Sized: ...

    @property
    def channels(self) -> int: ...


@dataclass(frozen=True)
class Network:
    """A ConvNet as a value: print it, compare it, hash it, save it, scale it, cost it, build it.

    It tells `classes` apart, on images of `channels`; the zoo's are ImageNet's, and `for_data` has those of other data.
    `dropout` is the rate before the classifier. `survival` is the probability with which the last block survives
    stochastic depth; block i of n survives with 1 − (1 − survival) · i / n (Section 5.2). Widths are rounded to
    multiples of `divisor` when scaled.
    """

    name: str
    stem: Stage
    stages: tuple[Stage, ...]
    head: Head = Head()
    resolution: int = 224
    dropout: float = 0.0
    survival: float = 1.0
    style: Style = Style()
    inputs: Inputs = Inputs()
    divisor: int = 8
    unscalable: tuple[tuple[str, str], ...] = ()  # (dimension, why it cannot be scaled)
    classes: int = 1000
    channels: int = 3

    def __post_init__(self) -> None:
        inp, blocks = self.stem.channels, 0
        for number, stage in enumerate((self.stem, *self.stages)):
            blocks += stage.layers
            try:
                check_blocks(blocks, stage.layers)
                check_numbers(stage.block)
                check_numbers(stage)
                stage.check(inp)
            except NetworkError as error:
                raise type(error)(f"{f'stage {number}' if number else 'stem'}: {error}") from None
            inp = stage.out_channels(inp)
        for name in ("resolution", "divisor", "classes", "channels"):
            check_number(name, getattr(self, name))
        if not self.stages:
            raise NetworkError(f"network {self.name!r} has no stages; give at least one")
        if self.resolution < 1:
            raise NetworkError(
                f"resolution {self.resolution} is less than one pixel; use e.g. 224, or 28 for small images"
            )
        if not 0 <= self.dropout < 1:
            raise NetworkError(f"dropout {self.dropout} is not a rate; use 0 for none or less than 1, such as 0.2")
        if not 0 < self.survival <= 1:
            raise NetworkError(f"survival {self.survival} is not a probability above 0; use 1 for none, such as 0.8")
        if self.divisor < 1:
            raise NetworkError(f"divisor {self.divisor} is less than one; use 8")
        if self.classes < 1:
            raise NetworkError(f"classes {self.classes} is less than one; use as many as there are to tell apart")
        if self.channels < 1:
            raise NetworkError(f"channels {self.channels} is less than one; use 1 for grey images or 3 for RGB")
        self.head.check()
        self.style.check()
        try:
            self.inputs.check()
        except NetworkError as error:
            raise NetworkError(f"inputs: {error}") from None

    def with_(self, **fields: Any) -> "Network":
        """The same network with other fields."""
        return replace(self, **fields)

    def for_data(self, data: Labelled) -> "Network":
        """The same network for the classes and the image channels of `data`."""
        return replace(self, classes=len(data.classes), channels=data.channels)

    @property
    def total_stride(self) -> int:
        """Pixels of the input a position of the last map stands for."""
        pixels = 2**16  # so many that what unpadded convolutions cut off does not show
        return round(pixels / replace(self, resolution=pixels).blocks()[-1].input[1])

    def blocks(self) -> tuple[Row, ...]:
        """Every block in order of execution, stem first and head last."""
        return tuple(self._blocks())

    def _blocks(self) -> Iterator[Row]:
        shape: Shape = (self.channels, self.resolution, self.resolution)
        total = sum(stage.layers for stage in self.stages)
        index = operators = 0
        reads = [*(stage.block.reads_previous for stage in (self.stem, *self.stages)), False]
        second: tuple[int, Shape] | None = None  # the map before the input, after the row whose input it is
        for number, stage in enumerate((self.stem, *self.stages)):
            label = f"stage {number}" if number else "stem"
            before = self.stages[number - 2].layers if number > 1 else 0
            for repeat in range(1, stage.layers + 1):
                block = stage.block.placed(repeat, before)
                stride = stage.stride if repeat == 1 else 1
                source, previous = second if second and block.reads_previous else (None, None)
                keep = block.keep_previous and source is not None
                if number and not keep:  # the image is not a map that cells read
                    second = index + 1, shape
                outlives = int(keep) if number and reads[number + (repeat == stage.layers)] else None
                try:
                    operator, trace = place(block, stage.channels, stride, self.style, shape, previous, outlives)
                    operators += len(trace.steps)
                    check_operators(operators)
                except NetworkError as error:
                    raise type(error)(f"{self.name} at {self.resolution} px: {label}: {error}") from None
                output = trace.shapes[trace.output]
                survival = 1 - (1 - self.survival) * index / total if number else 1.0
                yield Row(number, label, repeat, block, operator, trace, shape, output, survival, source)
                shape = output
                index += bool(number)
        head, trace = place_head(self.head, self.classes, self.dropout, self.style, shape)
        output = trace.shapes[trace.output]
        yield Row(len(self.stages) + 1, "head", 1, self.head, head, trace, shape, output, 1.0)

    def warnings(self) -> list[str]:
        """What is valid but unlikely to be meant, one sentence each."""
        rows, said = self.blocks(), []
        if rows[-1].input[1] <= 1:
            said.append(
                f"{self.name}: the last map is 1×1 at {self.resolution} px, so {self.total_stride}-fold striding "
                "leaves nothing to pool; use fewer strides, a larger resolution, or efficientnet-mini"
            )
        if self.resolution > LARGE_RESOLUTION:
            said.append(
                f"{self.name}: {self.resolution:,} px are more than an image classifier has been trained at; "
                "check the resolution, or scale by less"
            )
        wide = next((row for row in rows if widest_window(row) > max(LARGE_WINDOW, 2 * row.input[1])), None)
        if wide:
            said.append(
                f"{self.name}: {wide.label}: a window of {widest_window(wide):,} positions on a map of "
                f"{wide.input[1]}×{wide.input[2]} sees mostly padding; use a smaller kernel or a larger resolution"
            )
        return said

    def table(self) -> str:
        """The network as the paper's Table 1 prints one: a line a stage, with the resolution it *receives*."""
        rows = [COLUMNS, *self._lines()]
        widest = max(34, *(len(row[1]) for row in rows))
        lines = [
            f"{label:>8}  {what:<{widest}} {size:>10} {channels:>8} {layers:>6} {stride:>6}".rstrip()
            for label, what, size, channels, layers, stride in rows
        ]
        return "\n".join([f"{self.name}, {self.resolution} px", *lines])

    def _repr_html_(self) -> str:
        """The same for Jupyter."""
        return html_table(f"{self.name}, {self.resolution} px", COLUMNS, self._lines())

    def _lines(self) -> list[tuple[str, ...]]:
        """A line a stage, in the order of `COLUMNS`."""
        rows = {row.stage: row for row in reversed(self.blocks())}

        def line(number: int, label: str, what: str, *more: object) -> tuple[str, ...]:
            _, high, wide = rows[number].input
            return label, what, f"{high}×{wide}", *map(str, more)

        found = [
            line(number, rows[number].label, describe(stage.block), stage.channels, stage.layers, stage.stride)
            for number, stage in enumerate((self.stem, *self.stages))
        ]
        last = len(self.stages) + 1
        features = "conv 1×1, " if self.head.channels else ""
        hidden = "".join(f"linear {features}, " for features in self.head.hidden)
        channels = self.head.channels or rows[last].input[0]
        return [*found, line(last, "head", f"{features}pool, {hidden}linear", channels, 1, "")]


def describe(block: Block) -> str:
    """`mbconv 3×3, expand 6, se 0.25`: the block's name and its fields as the tables print them."""
    words: list[str] = []
    usual = (
        *(("se", 0), ("groups", 1), ("of", "input"), ("depth", 0), ("kernel", 0), ("before", 0)),
        *(("bias", True), ("padding", "valid"), ("every", 1)),
    )
    for name, value in vars(block).items():
        value = value.ratio if isinstance(value, SqueezeExcite) else value
        if name == "kernel" and value:
            words.insert(0, f"{value}×{value}")
        elif value is not None and value is not False and (name, value) not in usual:
            shown = f"{value:g}" if isinstance(value, float) else value
            if isinstance(value, tuple) and value and not isinstance(value[0], int | float):
                words.append(f"{len(value)} {name}")  # branches and genotypes are too long for a table
            else:
                words.append(name if value is True else f"{name} {shown}")
    return " ".join([block_name(type(block)), ", ".join(words)]).strip()
