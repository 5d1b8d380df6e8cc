"""The end of a network: what still belongs to its maps, and what turns them into class scores."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from compound.blocks import Style
from compound.bounds import MOST_POSITIONS, check_numbers, check_parts
from compound.errors import NetworkError, TooLargeError
from compound.ops import Activation, Chain, Conv, Dropout, Flatten, Function, GlobalPool, Linear, Operator, Shape, Trace


@dataclass(frozen=True)
class Head:
    """1×1 convolution to `channels` (none without), pooling, `hidden` linear layers, dropout, linear classifier.

    `norm` puts norm and activation on the last maps, for networks whose blocks begin with them (DenseNet), `act` the
    activation alone (NASNet), `norm_pooled` a norm on what is pooled (ConvNeXt). With `norm_hidden` a norm follows each
    hidden layer in place of bias and dropout (MobileNetV4); without `hidden_bias` they have none (FBNetV3). Pooling
    leaves `pool` × `pool` positions, one unless the hidden layers read more (VGG: 7). `classify_maps` turns the order
    round: a 1×1 convolution to the classes, then pooling (SqueezeNet).
    """

    channels: int | None = None
    fixed: tuple[Literal["width"], ...] = ()
    hidden: tuple[int, ...] = ()
    norm: bool = False
    pool: int = 1
    classify_maps: bool = False
    activation: Function | None = None  # of the hidden layers; None: the network's
    act: bool = False
    norm_pooled: bool = False
    norm_hidden: bool = False
    hidden_bias: bool = True

    def check(self) -> None:
        """Raise `NetworkError` when a field is impossible."""
        try:
            check_numbers(self)
            check_parts("hidden", len(self.hidden))
            check_parts("pool", self.pool, MOST_POSITIONS)
        except TooLargeError as error:
            raise TooLargeError(f"head: {error}") from None
        if self.channels is not None and self.channels < 1:
            raise NetworkError(f"head: channels {self.channels} is less than one; use e.g. 1280, or leave it out")
        if min(self.hidden, default=1) < 1:
            raise NetworkError(f"head: hidden {list(self.hidden)} has a layer of no features; use e.g. [4096]")
        if self.pool < 1:
            raise NetworkError(f"head: pool {self.pool} is less than one position; use 1")
        if self.norm_hidden and self.pool > 1:
            raise NetworkError(f"head: norm_hidden needs one position, and pool {self.pool} leaves more; use pool 1")
        if self.classify_maps and (self.hidden or self.pool > 1 or self.norm_pooled):
            raise NetworkError("head: classify_maps pools class scores; leave out hidden, pool and norm_pooled")

    def features(self, style: Style) -> Chain:
        """What still belongs to the maps that class activation mapping reads."""
        begin = Chain.of(norm=style.normed() if self.norm else None, act=style.act() if self.norm or self.act else None)
        if not self.channels:
            return begin
        conv = style.conv(self.channels)
        return Chain((("before", begin), *conv.parts)) if begin.parts else conv

    def classifier(self, classes: int, dropout: float, style: Style) -> Chain:
        """From the last maps to the class scores (classes, 1, 1)."""
        drop = Dropout(dropout)
        if self.classify_maps:
            scores = Conv(classes, bias=True)
            return Chain.of(dropout=drop, conv=scores, act=style.act(), pool=GlobalPool(), flatten=Flatten())
        act = Activation(self.activation or style.activation)
        parts: list[tuple[str, Operator]] = [("pool", GlobalPool(self.pool))]
        norm = style.normed() if self.norm_pooled else None
        if norm:
            parts.append(("norm", norm))
        for number, features in enumerate(self.hidden, 1):
            if self.norm_hidden:
                normed = style.with_activation(self.activation).conv(features)
                parts.append((f"hidden{number}", normed))
                continue
            parts += [
                (f"hidden{number}", Linear(features, self.hidden_bias)),
                (f"act{number}", act),
                (f"dropout{number}", drop),
            ]
        if not self.hidden or self.norm_hidden:
            parts.append(("dropout", drop))
        return Chain((*parts, ("linear", Linear(classes))))


@lru_cache(maxsize=128)
def place_head(head: Head, classes: int, dropout: float, style: Style, shape: Shape) -> tuple[Operator, Trace]:
    """The operators of `head` on the last map of `shape`, and their trace; kept as `place` keeps those of blocks."""
    operator = Chain.of(features=head.features(style), classifier=head.classifier(classes, dropout, style))
    return operator, Trace(operator, shape, apart=True)
