"""Blocks of the Inception families: branches of convolutions side by side, and residual ones of them."""

from dataclasses import dataclass, replace
from typing import Literal

from compound.blocks.base import Block, keeps_shape
from compound.blocks.style import Style
from compound.bounds import check_parts
from compound.errors import NetworkError
from compound.ops import Chain, Concat, Conv, Operator, Poly, Pool, Residual, Scale
from compound.rounding import Padding, Pair, round_channels

BranchConv = tuple[int | Pair, int]  # window and channels of one convolution

NARROWEST = 8  # channels of a branch to which rounding in a very narrow network leaves none


@dataclass(frozen=True)
class Branch:
    """Convolutions one after another, each written (window, channels): `Branch(((1, 48), (5, 64)))`.

    `pool` comes before them, over 3×3; a pool without convolutions carries its input on. `ends` read the last
    convolution side by side. The last convolution may have 0 channels: it gets what the other branches leave.
    """

    convs: tuple[BranchConv, ...] = ()
    ends: tuple[BranchConv, ...] = ()
    pool: Literal["max", "average"] | None = None
    count_padding: bool = False  # in an average

    @property
    def outputs(self) -> tuple[BranchConv, ...]:
        """What leaves the branch by convolution."""
        return self.ends or self.convs[-1:]

    def taken(self, inp: int) -> int:
        """Channels that leave the branch, the open ones aside."""
        return sum(channels for _, channels in self.outputs) if self.outputs else inp

    def widened(self, width: float, divisor: int) -> "Branch":
        def wider(steps: tuple[BranchConv, ...]) -> tuple[BranchConv, ...]:
            return tuple((window, channels and round_channels(channels * width, divisor)) for window, channels in steps)

        return replace(self, convs=wider(self.convs), ends=wider(self.ends))

    def check(self) -> None:
        if not self.outputs and not self.pool:
            raise NetworkError("a branch is empty; give it convs such as [[1, 64]], or a pool")
        if self.ends and not self.convs:
            raise NetworkError("a branch has ends but no convs; write its only convolutions as branches of their own")
        check_parts("a branch", len(self.convs) + len(self.ends))
        for window, channels in self.convs + self.ends:
            if min(window if isinstance(window, tuple) else (window,)) < 1:
                raise NetworkError(f"window {window} of a branch is not positive; use 1, 3 or [1, 7]")
            if channels < 0 or (channels == 0 and (window, channels) not in self.outputs):
                raise NetworkError(f"channels {channels} inside a branch are less than one; use e.g. 64")

    def operators(self, rest: int, stride: int, padding: Padding | None, style: Style) -> Chain:
        """The branch with `rest` for open channels. The pool, else what comes last, has `stride` and `padding`."""
        parts: list[tuple[str, Operator]] = []
        if self.pool:
            edge = style.padding if padding is None else padding
            parts.append(("pool", Pool(self.pool, 3, stride, edge, count_padding=self.count_padding)))
            stride, padding = 1, None

        def last(step: BranchConv) -> Chain:
            window, channels = step
            return style.conv(channels or rest, window, stride, padding=padding)

        chain = self.convs if self.ends else self.convs[:-1]
        parts += [(f"conv{i}", style.conv(channels, window)) for i, (window, channels) in enumerate(chain, 1)]
        if self.ends:
            parts.append(("ends", Concat(tuple(last(step) for step in self.ends))))
        elif self.convs:
            parts.append((f"conv{len(self.convs)}", last(self.convs[-1])))
        return Chain(tuple(parts))


@dataclass(frozen=True)
class Inception(Block):
    """Branches side by side (Szegedy et al. 2016, 2017).

    The stage's channels are all that leaves the block; one branch ends in 0 channels and gets what the others
    leave. With `valid` the last window of every branch sees no padding: reductions, stems.
    """

    branches: tuple[Branch, ...]
    valid: bool = False

    def check(self, inp: int, out: int) -> None:
        super().check(inp, out)
        check_parts("branches", len(self.branches))
        if not self.branches:
            raise NetworkError("branches is empty; give at least one, such as [{convs: [[1, 0]]}]")
        for branch in self.branches:
            branch.check()
        ends = [step for branch in self.branches for step in branch.outputs]
        opened = sum(channels == 0 for _, channels in ends)
        if ends and opened != 1:
            raise NetworkError(
                f"{opened} branches end in 0 channels; write 0 at the end of one, which gets what the others leave"
            )
        windows = {pair(3) if b.pool else pair(window) for b in self.branches for window, _ in b.outputs or ((3, 0),)}
        if self.valid and len(windows) > 1:
            raise NetworkError(
                f"valid, but the branches end in windows of {sorted(windows)}, which leave different maps; use one size"
            )

    def rest(self, inp: int, out: int) -> int:
        """What the open branch gets."""
        return max(NARROWEST, out - sum(branch.taken(inp) for branch in self.branches))

    def out_channels(self, inp: int, out: int, stride: int = 1) -> int:
        opened = any(channels == 0 for branch in self.branches for _, channels in branch.outputs)
        return sum(branch.taken(inp) for branch in self.branches) + (self.rest(inp, out) if opened else 0)

    def stage_channels(self, inp: int, wanted: int) -> int:
        return self.out_channels(inp, wanted)

    def widened(self, width: float, divisor: int) -> "Inception":
        return replace(self, branches=tuple(branch.widened(width, divisor) for branch in self.branches))

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        padding, rest = "valid" if self.valid else None, self.rest(inp, out)
        return Concat(tuple(branch.operators(rest, stride, padding, style) for branch in self.branches))


def pair(window: int | Pair) -> Pair:
    return window if isinstance(window, tuple) else (window, window)


@dataclass(frozen=True)
class InceptionResidual(Block):
    """x + scale · F(x), then the activation; F is branches side by side and a 1×1 projection (Szegedy et al. 2017).

    The projection has a bias, or batch norm with `norm`. PolyNet (Zhang et al. 2017) has several `units`, one after
    the other, each (ways, order): (2, 1) is "2-way", x + F(x) + G(x); (1, 3) is "poly-3", x + F(x) + F²(x) + F³(x)
    with shared convolutions.
    """

    branches: tuple[Branch, ...]
    scale: float = 1.0
    norm: bool = False
    act: bool = True
    units: tuple[tuple[int, int], ...] = ((1, 1),)

    def check(self, inp: int, out: int) -> None:
        super().check(inp, out)
        check_parts("branches", len(self.branches))
        if not self.branches or not self.units:
            raise NetworkError(f"{'units' if self.branches else 'branches'} is empty; give at least one")
        for branch in self.branches:
            branch.check()
            if any(channels == 0 for _, channels in branch.outputs):
                raise NetworkError("a branch ends in 0 channels, but the projection leaves none open; use e.g. 64")
        check_parts("units", sum(ways * order for ways, order in self.units))
        for ways, order in self.units:
            if ways < 1 or order < 1:
                raise NetworkError(f"unit {[ways, order]} has less than one way or order; use [1, 1]")

    def widened(self, width: float, divisor: int) -> "InceptionResidual":
        return replace(self, branches=tuple(branch.widened(width, divisor) for branch in self.branches))

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        paths = Concat(tuple(branch.operators(0, 1, None, style) for branch in self.branches))
        project = style.conv(out, act=False) if self.norm else Conv(out, bias=True)
        scale = None if self.scale == 1 else Scale(self.scale)

        def unit(ways: int, order: int) -> Chain:
            body = Chain.of(paths=paths, project=project, scale=scale)
            if order > 1:
                body = Chain.of(poly=Poly(paths, project, style.act(), order), scale=scale)
            total: Operator = Chain()
            for _ in range(ways):
                total = Residual(body, total)
            return Chain.of(residual=total, act=style.act() if self.act else None)

        units = {f"unit{i}": unit(*sizes) for i, sizes in enumerate(self.units, 1)}
        # The published networks never change shape here; a network of one's own may.
        return Chain.of(fit=None if keeps_shape(inp, out, stride) else style.conv(out, stride=stride), **units)
