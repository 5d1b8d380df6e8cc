"""What the blocks of a network share, and the convolutions and gates they are written with."""

import math
from dataclasses import dataclass, replace
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
    GroupNorm,
    LayerNorm,
    Norm,
    Operator,
    Scale,
)
from compound.rounding import Padding, Pair, round_channels, squeeze_channels

# 1 / √Var f(x) for x ~ N(0, 1), as the official NFNet code states them (deepmind-research, nfnets/base.py).
GAINS: dict[Function, float] = {
    "gelu": 1.7015043497085571,
    "relu": 1.7139588594436646,
    "relu6": 1.7131484746932983,
    "swish": 1.7881293296813965,
    "tanh": 1.5939117670059204,
}


@dataclass(frozen=True)
class Style:
    """What all blocks of a network share. Lite and TensorFlow-trained variants differ by these fields only.

    Defaults are the paper's (Section 5.2): swish, batch norm with decay 0.99 and ε 1e-3. PyTorch's own habit is
    decay 0.9 ("momentum 0.1") and ε 1e-5. Without norm (`norm="none"`, as in AlexNet) convolutions have biases;
    `bias` gives them one before a norm too: without effect before a batch norm (torchvision's VGG), with one before a
    layer norm (ConvNeXt). `norm="weights"` standardises the weights of convolutions instead of the maps, and scales
    activations so that a variance of one stays one (Brock et al. 2021, NFNet). `norm="group"` norms an image's channels
    in `norm_groups` (Wu and He 2018).
    """

    activation: Function = "swish"
    norm_decay: float = 0.99
    norm_eps: float = 1e-3
    padding: Literal["symmetric", "same"] = "symmetric"
    norm: Literal["batch", "layer", "group", "weights", "none"] = "batch"
    bias: bool = False
    norm_groups: int = 32

    def check(self) -> None:
        """Raise `NetworkError` when a field is impossible."""
        if not 0 < self.norm_eps < math.inf:
            raise NetworkError(f"style: norm_eps {self.norm_eps} is not above 0; use e.g. 0.001")
        if not 0 <= self.norm_decay < 1:
            raise NetworkError(f"style: norm_decay {self.norm_decay} is not a share below 1; use e.g. 0.99")
        if self.norm_groups < 1:
            raise NetworkError(f"style: norm_groups {self.norm_groups} is less than one; use e.g. 32")

    def with_activation(self, function: Function | None) -> "Style":
        """The same style with another activation; None leaves it."""
        return self if function in (None, self.activation) else replace(self, activation=function)

    @property
    def biased(self) -> bool:
        """Whether convolutions have biases."""
        return self.bias or self.norm in ("none", "weights")

    def normed(self) -> Norm | LayerNorm | GroupNorm | None:
        """The norm that follows a convolution, if any."""
        if self.norm == "group":
            return GroupNorm(self.norm_groups, self.norm_eps)
        if self.norm == "layer":
            return LayerNorm(self.norm_eps)
        return _norm(self.norm_decay, self.norm_eps) if self.norm == "batch" else None

    def act(self) -> Operator:
        """The activation; scaled where weights are normed."""
        if self.norm == "weights":
            return self.scaled_act(1.0)
        return _activation(self.activation)

    def scaled_act(self, factor: float) -> Chain:
        """The activation times its gain and `factor`."""
        if self.activation not in GAINS:
            raise NetworkError(f"norm weights knows no gain of {self.activation}; use {', '.join(GAINS)}")
        return Chain.of(function=_activation(self.activation), gain=Scale(GAINS[self.activation] * factor))

    def conv(
        self,
        channels: int,
        kernel: int | Pair = 1,
        stride: int = 1,
        groups: int = 1,
        act: bool = True,
        padding: Padding | None = None,
    ) -> Chain:
        """Convolution, norm, and the activation unless `act` is false."""
        edge = self.padding if padding is None else padding
        standardise = self.norm_eps if self.norm == "weights" else None
        conv = Conv(channels, kernel, stride, groups, self.biased, edge, standardise=standardise)
        return Chain.of(conv=conv, norm=self.normed(), act=self.act() if act else None)

    def depthwise(self, kernel: int, stride: int = 1, act: bool = True) -> Chain:
        """Depthwise convolution, norm, and the activation unless `act` is false."""
        conv = _depthwise(kernel, stride, self.padding)
        return Chain.of(conv=conv, norm=self.normed(), act=self.act() if act else None)


@dataclass(frozen=True)
class SqueezeExcite:
    """Channel attention (Hu et al. 2018): pool, reduce, activation, expand, gate.

    The reduced width is `ratio` of the block's `input` channels (EfficientNet's rule) or of the channels that are
    gated (`expanded`: MobileNetV3, SENet), rounded to a multiple of `divisor`, or cut where that is 1. With `norm` the
    network's norm follows the reduction (ReXNet).
    """

    ratio: float = 0.25
    of: Literal["input", "expanded"] = "input"
    divisor: int = 1
    activation: Function | None = None  # None: the network's
    gate: Function = "sigmoid"
    norm: bool = False

    def check(self) -> None:
        if not 0 < self.ratio <= 1:
            raise NetworkError(f"se {self.ratio} is not a ratio; use 0 for none or up to 1, usually 0.25")

    def operators(self, inp: int, channels: int, style: Style) -> Operator:
        """The gate on `channels` of a block whose input has `inp`."""
        base = inp if self.of == "input" else channels
        squeezed = squeeze_channels(base, self.ratio)
        if self.divisor > 1:
            squeezed = round_channels(base * self.ratio, self.divisor)
        return Gate(
            Chain.of(
                pool=_POOL,
                reduce=Conv(squeezed, bias=True),
                norm=style.normed() if self.norm else None,
                act=_activation(self.activation or style.activation),
                expand=Conv(channels, bias=True),
                sigmoid=_activation(self.gate),
            )
        )


def squeeze_excite(se: float | SqueezeExcite, inp: int, channels: int, style: Style) -> Operator | None:
    """The gate of a block's field `se`: a ratio of the input's channels, 0 for none, or a `SqueezeExcite`."""
    if isinstance(se, SqueezeExcite):
        return se.operators(inp, channels, style)
    return SqueezeExcite(se).operators(inp, channels, style) if se else None


# Operators that every block repeats: equal values, made once.
_norm, _activation, _depthwise = lru_cache(Norm), lru_cache(Activation), lru_cache(Depthwise)
_POOL = GlobalPool()
