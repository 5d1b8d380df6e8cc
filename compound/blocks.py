"""F_i of Equation 1: the blocks a stage repeats, as data.

A block writes itself out as operators for given channels and stride, once; cost, build, table and drawing read
those operators. A block of your own is a frozen dataclass with an `operators` method, nothing else.
"""

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from compound.errors import NetworkError
from compound.ops import (
    Activation,
    Chain,
    Conv,
    Depthwise,
    Function,
    Gate,
    GlobalPool,
    Norm,
    Operator,
    Pool,
    Residual,
    Shape,
    Trace,
)
from compound.rounding import squeeze_channels


@dataclass(frozen=True)
class Style:
    """What all blocks of a network share. Lite and TensorFlow-trained variants differ by these fields only.

    Defaults are the paper's (Section 5.2): swish, batch norm with decay 0.99 and ε 1e-3. PyTorch's own habit is
    decay 0.9 ("momentum 0.1") and ε 1e-5.
    """

    activation: Function = "swish"
    norm_decay: float = 0.99
    norm_eps: float = 1e-3
    padding: Literal["symmetric", "same"] = "symmetric"

    def norm(self) -> Norm:
        return _norm(self.norm_decay, self.norm_eps)

    def act(self) -> Activation:
        return _activation(self.activation)

    def conv(self, channels: int, kernel: int = 1, stride: int = 1, groups: int = 1, act: bool = True) -> Chain:
        """Convolution, norm, and the activation unless `act` is false."""
        conv = Conv(channels, kernel, stride, groups, padding=self.padding)
        return Chain.of(conv=conv, norm=self.norm(), act=self.act() if act else None)

    def depthwise(self, kernel: int, stride: int = 1, act: bool = True) -> Chain:
        """Depthwise convolution, norm, and the activation unless `act` is false."""
        conv = _depthwise(kernel, stride, self.padding)
        return Chain.of(conv=conv, norm=self.norm(), act=self.act() if act else None)

    def squeeze_excite(self, channels: int, squeezed: int) -> Gate:
        """Channel attention (Hu et al. 2018): pool, reduce to `squeezed`, expand to `channels`, sigmoid."""
        return Gate(
            Chain.of(
                pool=_POOL,
                reduce=Conv(squeezed, bias=True),
                act=self.act(),
                expand=Conv(channels, bias=True),
                sigmoid=_activation("sigmoid"),
            )
        )


# Operators that every block repeats: equal values, made once.
_norm, _activation, _depthwise = lru_cache(Norm), lru_cache(Activation), lru_cache(Depthwise)
_POOL = GlobalPool()


@dataclass(frozen=True)
class Block(ABC):
    """One F_i. `inp` and `out` are channels; only the first repeat of a stage has stride ≠ 1 or inp ≠ out."""

    @abstractmethod
    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        """The block as operators."""

    def check(self, inp: int, out: int) -> None:
        """Raise `NetworkError` when a field is impossible; a `Network` calls this and adds the stage."""
        kernel = getattr(self, "kernel", 1)
        if kernel < 1 or kernel % 2 == 0:
            near = "3, 5 or 7" if kernel < 8 else f"{kernel - 1} or {kernel + 1}"
            raise NetworkError(f"kernel {kernel} is {'even' if kernel > 0 else 'not positive'}; use {near}")
        expand, se = getattr(self, "expand", 1), getattr(self, "se", 0)
        if not 0 < expand < math.inf:
            raise NetworkError(f"expand {expand} is not a positive number; use 1, 4 or 6")
        if int(inp * expand) < 1:
            raise NetworkError(f"expand {expand} leaves no channel of {inp}; use 1, 4 or 6")
        if not 0 <= se <= 1:
            raise NetworkError(f"se {se} is not a ratio; use 0 for none or up to 1, usually 0.25")


def keeps_shape(inp: int, out: int, stride: int) -> bool:
    """Whether an identity shortcut is possible."""
    return stride == 1 and inp == out


@dataclass(frozen=True)
class ConvBlock(Block):
    """k×k convolution, norm, activation; `pool` adds ResNet's 3×3 max pooling of stride 2."""

    kernel: int = 3
    pool: bool = False

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        conv = style.conv(out, self.kernel, stride)
        pool = Pool("max", 3, 2, style.padding)
        return Chain((*conv.parts, ("pool", pool))) if self.pool else conv


@dataclass(frozen=True)
class MBConv(Block):
    """Inverted bottleneck: expand 1×1, depthwise k×k, squeeze-excite, project 1×1 without activation.

    Sandler et al. 2018 (`se=0`), Tan et al. 2019. The squeeze width derives from the block's input channels.
    """

    kernel: int = 3
    expand: float = 6
    se: float = 0.25

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        mid = int(inp * self.expand)
        body = Chain.of(
            expand=style.conv(mid) if mid != inp else None,
            depthwise=style.depthwise(self.kernel, stride),
            se=style.squeeze_excite(mid, squeeze_channels(inp, self.se)) if self.se else None,
            project=style.conv(out, act=False),
        )
        return Residual(body) if keeps_shape(inp, out, stride) else body


@dataclass(frozen=True)
class FusedMBConv(Block):
    """MBConv whose expansion and depthwise are one k×k convolution (EfficientNet-EdgeTPU, EfficientNetV2).

    With `expand` 1 it is a single k×k convolution, norm and activation.
    """

    kernel: int = 3
    expand: float = 4
    se: float = 0

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        mid = int(inp * self.expand)
        single = mid == inp
        body = Chain.of(
            fused=style.conv(out if single else mid, self.kernel, stride),
            se=style.squeeze_excite(out if single else mid, squeeze_channels(inp, self.se)) if self.se else None,
            project=None if single else style.conv(out, act=False),
        )
        return Residual(body) if keeps_shape(inp, out, stride) else body


@dataclass(frozen=True)
class Separable(Block):
    """Depthwise k×k, then pointwise 1×1, each with norm and activation (MobileNetV1, Howard et al. 2017)."""

    kernel: int = 3

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        return Chain.of(depthwise=style.depthwise(self.kernel, stride), pointwise=style.conv(out))


@dataclass(frozen=True)
class Basic(Block):
    """Two k×k convolutions and a shortcut (He et al. 2016, ResNet-18 and -34)."""

    kernel: int = 3

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        body = Chain.of(conv1=style.conv(out, self.kernel, stride), conv2=style.conv(out, self.kernel, act=False))
        return residual(body, inp, out, stride, style)


@dataclass(frozen=True)
class Bottleneck(Block):
    """1×1 to channels / `reduce`, k×k with the stride, 1×1 back, and a shortcut (He et al. 2016, ResNet-50).

    The stride sits on the k×k convolution ("v1.5"), as in torchvision and timm.
    """

    kernel: int = 3
    reduce: int = 4
    groups: int = 1

    def check(self, inp: int, out: int) -> None:
        super().check(inp, out)
        if self.groups < 1:
            raise NetworkError(f"groups {self.groups} is less than one; use 1, or e.g. 32 for ResNeXt")
        keep = "use 4, or 1 for a bottleneck that keeps the width"
        if self.reduce < 1:
            raise NetworkError(f"reduce {self.reduce} is less than one; {keep}")
        mid = out // self.reduce
        if mid < 1:
            raise NetworkError(f"reduce {self.reduce} leaves no channel of {out}; {keep}")
        if mid % self.groups:
            raise NetworkError(
                f"groups {self.groups} do not divide the {mid} channels inside the block; "
                f"use channels that are a multiple of {self.groups * self.reduce}"
            )

    def operators(self, inp: int, out: int, stride: int, style: Style) -> Operator:
        mid = out // self.reduce
        body = Chain.of(
            reduce=style.conv(mid),
            conv=style.conv(mid, self.kernel, stride, self.groups),
            expand=style.conv(out, act=False),
        )
        return residual(body, inp, out, stride, style)


def residual(body: Operator, inp: int, out: int, stride: int, style: Style) -> Chain:
    """body(x) + shortcut(x), then the activation; a 1×1 convolution fits the shortcut where shapes differ."""
    shortcut = Chain() if keeps_shape(inp, out, stride) else style.conv(out, stride=stride, act=False)
    return Chain.of(residual=Residual(body, shortcut), act=style.act())


@lru_cache(maxsize=256)
def place(block: Block, out: int, stride: int, style: Style, shape: Shape) -> tuple[Operator, Trace]:
    """The operators of `block` on an input of `shape`, and their trace.

    Kept because the repeats of a stage, and most stages of two related networks, are the same. A larger store is
    slower: the garbage collector walks through it.
    """
    operator = block.operators(shape[0], out, stride, style)
    return operator, Trace(operator, shape)


def all_blocks(root: type[Block] = Block) -> Iterator[type[Block]]:
    """Every block class there is, a user's own included: defining the class is enough."""
    for cls in root.__subclasses__():
        yield cls
        yield from all_blocks(cls)


def block_name(cls: type[Block]) -> str:
    """The name a block goes by in YAML: MBConv is `mbconv`, FusedMBConv `fused-mbconv`, ConvBlock `conv`."""
    words = re.findall(r"MBConv|[A-Z][a-z0-9]*", cls.__name__.removesuffix("Block"))
    return "-".join(words).lower()
