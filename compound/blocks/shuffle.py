"""Blocks of ShuffleNet: cheap convolutions within groups or halves of the channels, which a shuffle then mixes."""

from dataclasses import dataclass

from compound.blocks.base import Block, keeps_shape
from compound.blocks.style import Style
from compound.errors import NetworkError
from compound.ops import Chain, Concat, Operator, Pool, Residual, Shuffle, Slice


@dataclass(frozen=True)
class ShuffleV1(Block):
    """Grouped 1×1, shuffle, depthwise k×k, grouped 1×1, added to the input (Zhang et al. 2018, Fig. 2b).

    Where channels grow, the input, pooled by the stride, is put beside the new channels instead (Fig. 2c).
    `group_entry` false leaves the first 1×1 of such a block ungrouped, as where few channels come in (Section 3.2).
    """

    kernel: int = 3
    groups: int = 3
    reduce: int = 4
    group_entry: bool = True

    def check(self, inp: int, out: int) -> None:
        super().check(inp, out)
        for name, least in (("groups", 3), ("reduce", 4)):
            if getattr(self, name) < 1:
                raise NetworkError(f"{name} {getattr(self, name)} is less than one; use {least}")
        if inp > out:
            raise NetworkError(f"{inp} channels come in and the block adds to them; use channels {inp} or more")
        whole = self.groups * self.reduce
        if out % whole or inp % self.groups:
            raise NetworkError(
                f"groups {self.groups} do not divide the {inp} channels that come in or the {out / self.reduce:g} "
                f"inside the block; use channels, and a divisor of the network, that are multiples of {whole}"
            )

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        mid, grows = out // self.reduce, out > inp
        body = Chain.of(
            reduce=style.conv(mid, groups=self.groups if self.group_entry or not grows else 1),
            shuffle=Shuffle(self.groups),
            depthwise=style.depthwise(self.kernel, stride, act=False),
            expand=style.conv(out - inp if grows else out, groups=self.groups, act=False),
        )
        shortcut = Pool("average", 3, stride, style.padding) if stride > 1 else Chain()
        join = Concat((shortcut, body)) if grows else Residual(body, shortcut)
        return Chain.of(join=join, act=style.act())


@dataclass(frozen=True)
class ShuffleV2(Block):
    """One half of the channels passes, the other goes 1×1, depthwise k×k, 1×1; shuffle (Ma et al. 2018, Fig. 3c).

    Where the shape changes, both halves come from the whole input: depthwise, 1×1 beside 1×1, depthwise, 1×1 (3d).
    """

    kernel: int = 3

    def check(self, inp: int, out: int) -> None:
        super().check(inp, out)
        if out % 2:
            raise NetworkError(f"channels {out} cannot be halved; use an even number, such as 116")

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        half = out // 2
        depthwise = style.depthwise(self.kernel, stride, act=False)
        body = Chain.of(reduce=style.conv(half), depthwise=depthwise, project=style.conv(half))
        if keeps_shape(inp, out, stride):
            halves = Concat((Slice(0, half), Chain((("slice", Slice(half, out)), *body.parts))))
        else:
            halves = Concat((Chain.of(depthwise=depthwise, project=style.conv(half)), body))
        return Chain.of(halves=halves, shuffle=Shuffle(2))
