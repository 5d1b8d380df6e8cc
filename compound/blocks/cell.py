"""Cells: blocks that read the two maps before them, written as a genotype (Zoph et al. 2018 and its successors)."""

import re
from dataclasses import dataclass
from typing import ClassVar

from compound.blocks.base import Block
from compound.blocks.conv import check_padding
from compound.blocks.style import Style
from compound.bounds import check_parts
from compound.errors import NetworkError
from compound.mapping import shown
from compound.ops import Chain, Concat, Conv, Depthwise, Graph, Operator, Pool, Shape
from compound.rounding import Padding

Node = tuple[tuple[int, int], tuple[str, str]]
OPERATIONS = "identity, average-3x3, max-3x3, separable-5x5, dilated-5x5, conv-1x1, conv-1x7-7x1"


@dataclass(frozen=True)
class Cell(Block):
    """A directed graph of states; a stage's channels are its filters.

    State 0 is the input and state 1 the map before it, both fitted to the filters. Every one of `nodes`, a pair of
    states and a pair of operations, adds one state: the sum of the two operations. The states `joined` leave the cell
    side by side. In a cell of stride 2 only operations on states 0 and 1 stride.

    Operations: `identity`; `average-KxK` and `max-KxK` pooling; `separable-KxK`, twice depthwise and 1×1 convolution;
    `dilated-KxK`, the same with positions two apart; `conv-1x1`; larger `conv-KxK` and `conv-1xK-Kx1` on a quarter of
    the filters, between 1×1 convolutions (Real et al. 2019, reference code `network_utils.py`). Activations come first.
    """

    nodes: tuple[Node, ...]
    joined: tuple[int, ...]
    keep_previous: bool = False  # the next cell's state 1 is this cell's, too (NASNet-A large, after reductions)

    reads_previous: ClassVar[bool] = True

    def check(self, inp: int, out: int) -> None:
        super().check(inp, out)
        check_parts("nodes", len(self.nodes))
        check_parts("joined", len(self.joined))
        if not self.joined:
            raise NetworkError("joined names no state, so nothing leaves the cell; list at least one, such as 2")
        for number, (states, operations) in enumerate(self.nodes, 2):
            for state in states:
                if not 0 <= state < number:
                    raise NetworkError(
                        f"node {number} reads state {state}; use 0 to {number - 1}, which come before it"
                    )
            for operation in operations:
                check_operation(operation)
        last = len(self.nodes) + 1
        for state in self.joined:
            if not 0 <= state <= last:
                raise NetworkError(f"joined has state {state}; use 0 to {last}")
        read = {*self.joined, *(state for states, _ in self.nodes for state in states)}
        for number in range(2, last + 1):
            if number not in read:
                raise NetworkError(f"node {number} is read by nothing; add {number} to joined, or drop the node")

    def out_channels(self, inp: int, out: int, stride: int = 1) -> int:
        return len(self.joined) * out

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        """Without a map before the input: state 1 is the input as it is."""
        return self.graph(inp, Chain(), out, stride, style)

    def cell(self, shape: Shape, previous: Shape, out: int, stride: int, style: Style) -> Operator:
        (channels, rows, columns), small = previous, shape[1:]
        if channels == out and (rows, columns) == small:  # nothing to fit, as in AmoebaNet-B behind its reductions
            return self.graph(out, Chain(), out, stride, style)
        shrink = next((s for s in (1, 2, 4, 8) if (-(-rows // s), -(-columns // s)) == small), 0)
        if not shrink:
            raise NetworkError(
                f"a cell cannot fit the map before its input, {rows}×{columns}, to {small[0]}×{small[1]}; "
                "stride by 2 between cells, without 'valid' padding"
            )
        fit = Chain((("act", style.act()), *reduced(out, shrink, style).parts))
        return self.graph(out, fit, out, stride, style)

    def graph(self, second: int, fit: Operator, out: int, stride: int, style: Style) -> Graph:
        """The states' graph, where state 1 has `second` channels."""
        widths = [out, second, *[out for _ in self.nodes]]

        def end(state: int, name: str) -> tuple[int, Operator]:
            return state, operation(name, widths[state], out, stride if state < 2 else 1, style)

        def leave(state: int) -> tuple[int, Operator]:
            shrink = stride if state < 2 else 1
            return state, reduced(out, shrink, style) if shrink > 1 or widths[state] != out else Chain()

        nodes = tuple([(end(a, left), end(b, right)) for (a, b), (left, right) in self.nodes])
        return Graph(fitted(out, 1, style), fit, nodes, tuple([leave(state) for state in self.joined]))


@dataclass(frozen=True)
class BareConv(Block):
    """k×k convolution and norm without activation: the stem of cells, which begin with theirs."""

    kernel: int = 3
    padding: Padding | None = "valid"

    def check(self, inp: int, out: int) -> None:
        super().check(inp, out)
        check_padding(self.padding)

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        return style.conv(out, self.kernel, stride, act=False, padding=self.padding)


def check_operation(name: str) -> None:
    """Raise `NetworkError` for an operation that cells do not know."""
    if name != "identity" and not re.fullmatch(r"(average|max)-([2357])x\2|conv-1x([37])-\3x1", name):
        odd = re.fullmatch(r"(separable|dilated|conv)-(\d{1,2})x\2", name)
        if not odd or int(odd[2]) % 2 == 0:
            raise NetworkError(f"there is no operation {shown(name)}; use e.g. {OPERATIONS}")


def operation(name: str, inp: int, out: int, stride: int, style: Style) -> Chain:
    """One operation of a cell, from `inp` to `out` channels."""
    kind, _, rest = name.partition("-")
    kernel = int(rest.partition("x")[0]) if rest else 1
    if kind == "identity":
        return Chain() if stride == 1 and inp == out else fitted(out, stride, style)
    if kind in ("average", "max"):
        # An even window has no symmetric padding that keeps the size.
        padding = style.padding if kernel % 2 else "same"
        pool = Pool("max" if kind == "max" else "average", kernel, stride, padding)
        return Chain((("pool", pool), *(style.conv(out, act=False).parts if inp != out else ())))
    if kind in ("separable", "dilated"):
        return separable(kernel, 2 if kind == "dilated" else 1, out, stride, style)
    if rest == "1x1":
        return fitted(out, stride, style)
    return quartered(rest, out, stride, style)


def fitted(out: int, stride: int, style: Style) -> Chain:
    """Activation, 1×1 convolution, norm."""
    return Chain((("act", style.act()), *style.conv(out, stride=stride, act=False).parts))


def reduced(out: int, stride: int, style: Style) -> Chain:
    """Factorised reduction: two strided 1×1 convolutions to half the channels, one a position later; norm."""
    if stride == 1:
        return style.conv(out, act=False)
    bias = style.norm == "none"
    halves = (
        Conv(out - out // 2, 1, stride, bias=bias, padding="valid"),
        Conv(out // 2, 1, stride, bias=bias, padding="shifted"),
    )
    return Chain.of(halves=Concat(halves), norm=style.normed())


def separable(kernel: int, dilation: int, out: int, stride: int, style: Style) -> Chain:
    """Twice: activation, depthwise k×k, 1×1 convolution, norm; the first has the stride."""

    def once(stride: int) -> Chain:
        depthwise = Depthwise(kernel, stride, style.padding, dilation)
        return Chain((("act", style.act()), ("depthwise", depthwise), *style.conv(out, act=False).parts))

    return Chain.of(first=once(stride), second=once(1))


def quartered(windows: str, out: int, stride: int, style: Style) -> Chain:
    """1×1 to a quarter of the channels, the convolution (`3x3`) or the pair of them (`1x7-7x1`), 1×1 back."""
    mid = max(1, out // 4)
    parts: list[tuple[str, Operator]] = [("reduce", fitted(mid, 1, style))]
    for window in windows.split("-"):
        rows, columns = (int(size) for size in window.split("x"))
        # A window that is one position wide strides along the other axis only.
        strides = (stride if rows > 1 else 1, stride if columns > 1 else 1)
        conv = Conv(mid, (rows, columns), strides, bias=style.norm == "none", padding=style.padding)
        parts.append((f"conv{window}", Chain.of(act=style.act(), conv=conv, norm=style.normed())))
    return Chain((*parts, ("expand", fitted(out, 1, style))))
