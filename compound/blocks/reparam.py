"""Blocks that train with branches and run as plain convolutions: see `Sum` and `compound.nn.fold`."""

from dataclasses import dataclass, replace

from compound.blocks.base import Block, keeps_shape
from compound.blocks.style import SqueezeExcite, Style, squeeze_excite
from compound.errors import NetworkError
from compound.ops import Chain, Conv, Operator, Residual, Sum


def branched(inp: int, out: int, kernel: int, stride: int, groups: int, style: Style, convs: int = 1) -> Sum:
    """`convs` k×k convolutions, a 1×1 one where k is larger, and the identity where shapes allow, each with a norm."""
    branches: list[Operator] = []
    if keeps_shape(inp, out, stride):
        branches.append(Chain.of(norm=style.normed()))
    branches += [style.conv(out, kernel, stride, groups, act=False) for _ in range(convs)]
    if kernel > 1:
        branches.append(style.conv(out, 1, stride, groups, act=False))
    return Sum(tuple(branches))


@dataclass(frozen=True)
class RepVgg(Block):
    """k×k, 1×1 and the identity, each with its norm, added; squeeze-excite; activation (Ding et al. 2021, Fig. 2b).

    The squeeze width derives from the block's own channels.
    """

    kernel: int = 3
    se: float | SqueezeExcite = 0

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        return Chain.of(
            sum=branched(inp, out, self.kernel, stride, 1, style),
            se=squeeze_excite(self.se, inp, out, style),
            act=style.act(),
        )


@dataclass(frozen=True)
class MobileOne(Block):
    """Depthwise k×k, then 1×1, each as `convs` branches with an identity (Vasu et al. 2023, Figure 3).

    The depthwise one has a 1×1 branch too. Behind each come squeeze-excite, if any, and the activation.
    """

    kernel: int = 3
    convs: int = 1
    se: float | SqueezeExcite = 0

    def check(self, inp: int, out: int) -> None:
        super().check(inp, out)
        if not 1 <= self.convs <= 64:
            raise NetworkError(f"convs {self.convs} is not a number of branches; use 1 to 64, usually 1 or 4")

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        return Chain.of(
            depthwise=branched(inp, inp, self.kernel, stride, inp, style, self.convs),
            se=squeeze_excite(self.se, inp, inp, style),
            act=style.act(),
            pointwise=branched(inp, out, 1, 1, 1, style, self.convs),
            pointwise_se=squeeze_excite(self.se, inp, out, style),
            pointwise_act=style.act(),
        )


@dataclass(frozen=True)
class RepVit(Block):
    """Depthwise k×k, depthwise 1×1 and the identity, added, and a norm; squeeze-excite; two 1×1 with a shortcut.

    Wang et al. 2024 (RepViT), Figure 4, in the form of the official code. The k×k branch alone has a norm of its own.
    Squeeze-excite stands in one of `every` repeats of a stage, from the first. It keeps the shape of its input.
    """

    kernel: int = 3
    expand: float = 2
    se: float | SqueezeExcite = 0
    every: int = 1

    def check(self, inp: int, out: int) -> None:
        super().check(inp, out)
        if self.every < 1:
            raise NetworkError(f"every {self.every} is less than one; use 1 for a gate in each block, usually 2")
        if inp != out:
            raise NetworkError(f"{inp} channels come in and {out} go out, which a rep-vit block has no way to; "
                               "let a convolution change them before it")  # fmt: skip

    def stage_channels(self, inp: int, wanted: int) -> int:
        return inp

    def placed(self, repeat: int, before: int) -> Block:
        return self if (repeat - 1) % self.every == 0 else replace(self, se=0)

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        if stride > 1:
            raise NetworkError(f"a rep-vit block keeps its map, so stride {stride} is not possible; use 1")
        depthwise = style.conv(inp, self.kernel, groups=inp, act=False)
        body = Chain.of(expand=style.conv(round(inp * self.expand)), project=style.conv(out, act=False))
        return Chain.of(
            sum=Sum((depthwise, Conv(inp, groups=inp, bias=True), Chain())),
            norm=style.normed(),
            se=squeeze_excite(self.se, inp, inp, style),
            residual=Residual(body),
        )
