"""Scaling as a function `network -> network` (Equations 2 and 3). Nothing is built.

N(d, w, r): layers d · L_i, channels w · C_i, resolution r · H.  F_i never changes.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from compound.documents import read_yaml
from compound.errors import UsageError
from compound.head import Head
from compound.lines import RESNET_RS, TINYNET, Point, along, cost_factor
from compound.mapping import from_mapping, nearest
from compound.network import Network, Stage
from compound.rounding import round_channels, round_layers, round_resolution


@dataclass(frozen=True)
class Scaling:
    """Factors of the three dimensions; 1 leaves a dimension alone."""

    depth: float = 1.0
    width: float = 1.0
    resolution: float = 1.0
    group_width: float = 1.0  # of groups of channels, beside `width`: at 1 their number stays (Grouped, NormFree)

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not (math.isfinite(value) and value > 0):
                raise UsageError(f"{name} factor {value} is not a positive number; use 1 to leave {name} alone")

    @property
    def theory(self) -> float:
        """The cost factor d · w² · r² that Section 3.2 expects before rounding."""
        return self.depth * self.width**2 * self.resolution**2

    def to_json(self) -> dict[str, float]:
        """The factors as answers and files name them."""
        return {"depth": self.depth, "width": self.width, "resolution_factor": self.resolution} | (
            {"group_width": self.group_width} if self.group_width != 1 else {}
        )


@contextmanager
def within_numbers(phi: float) -> Iterator[None]:
    """Factors beyond what a number holds, or so near zero that none is left, as one sentence."""
    try:
        yield
    except (OverflowError, UsageError):
        raise UsageError(f"φ {phi:g} gives factors that no network can have; use e.g. 1, 0.5 or -2") from None


class Rule(Protocol):
    """One knob to three factors. φ = 0 is the network itself; cost grows with φ, about 2^φ."""

    def __call__(self, phi: float) -> Scaling: ...


@dataclass(frozen=True)
class CompoundRule:
    """d = α^φ, w = β^φ, r = γ^φ (Equation 3), for any real φ; a negative φ scales down.

    The paper's coefficients for EfficientNet-B0 are 1.2, 1.1, 1.15; α · β² · γ² ≈ 2 makes φ count doublings.
    """

    alpha: float = 1.2
    beta: float = 1.1
    gamma: float = 1.15

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not (math.isfinite(value) and value >= 1):
                raise UsageError(f"{name} {value} is less than 1; Equation 3 asks for {name} ≥ 1")
        if self.alpha * self.beta * self.gamma == 1:
            raise UsageError("alpha, beta and gamma are all 1, so φ would change nothing; raise at least one of them")

    def __call__(self, phi: float) -> Scaling:
        with within_numbers(phi):
            return Scaling(self.alpha**phi, self.beta**phi, self.gamma**phi)


@dataclass(frozen=True)
class FastRule:
    """Fast compound scaling (Dollár, Singh, Girshick 2021, arXiv:2103.06877): mostly wider.

    For a cost factor s = 2^φ: d = s^depth, w = s^(width/2), r = s^(resolution/2), with weights that sum to one.
    The default (0.1, 0.8, 0.1) is the paper's α = 0.8: d = s^0.1, w = s^0.4, r = s^0.05. Activations then grow as
    about s^0.6 instead of s^0.8 and more, and with them memory and time.

    Groups of channels grow by g = s^(group_width/2) (the official code's `d1_w8_g8_r1`), by default as the width does,
    so that their number stays; 0 keeps their width. It is no share of the cost.
    """

    depth: float = 0.1
    width: float = 0.8
    resolution: float = 0.1
    group_width: float | None = None

    def __post_init__(self) -> None:
        weights = self.depth, self.width, self.resolution
        if min(weights) < 0 or not math.isclose(sum(weights), 1, abs_tol=1e-6):
            given = ", ".join(f"{value:g}" for value in weights)
            raise UsageError(f"fast rule weights {given} are not shares of one; use e.g. 0.1, 0.8, 0.1")
        if self.group_width is not None and not 0 <= self.group_width <= 1:
            raise UsageError(f"fast rule group_width {self.group_width:g} is not between 0 and 1; use e.g. 0.8")

    def __call__(self, phi: float) -> Scaling:
        with within_numbers(phi):
            s = 2.0**phi
            groups = 0.0 if self.group_width is None else self.group_width - self.width
            return Scaling(s**self.depth, s ** (self.width / 2), s ** (self.resolution / 2), s ** (groups / 2))


@dataclass(frozen=True)
class LineRule:
    """Depth and resolution of a cost factor 2^φ as a published family has them, and width from what is left.

    `points` are its networks (see `compound.lines`), met exactly. On the other side of φ = 0, where the family has
    none, `otherwise` is the rule. `widen` spends on width what the family spends on depth.
    """

    points: tuple[Point, ...]
    otherwise: Rule
    widen: bool = False

    def __call__(self, phi: float) -> Scaling:
        if phi * cost_factor(self.points[0]) < 0:
            return self.otherwise(phi)
        with within_numbers(phi):
            depth, resolution = along(self.points, phi)
            depth = 0.0 if self.widen else depth
            return Scaling(2.0**depth, 2.0 ** ((phi - depth - 2 * resolution) / 2), 2.0**resolution)


@dataclass(frozen=True)
class SnappedRule:
    """`rule`, with the resolution of a network of `resolution` px moved to the nearest multiple of `multiple`.

    A map whose side is no multiple of the network's stride is filled up at every halving: EfficientNet-B0 counts 14 %
    more multiply-adds at 257 px than at 256.
    """

    rule: Rule
    resolution: int
    multiple: int

    def __call__(self, phi: float) -> Scaling:
        factors = self.rule(phi)
        return replace(factors, resolution=self.snapped(factors.resolution) / self.resolution)

    def snapped(self, factor: float) -> int:
        """Pixels, at least one multiple."""
        return self.multiple * max(1, round_resolution(self.resolution * factor / self.multiple))


@dataclass(frozen=True)
class ShrinkRule:
    """Resolution alone gives way, and nothing grows: r = 2^(φ/2) up to φ = 0, and then 1.

    For a network that has weights: they fit at any resolution, and stay as good only up to the one they were trained
    at.
    """

    def __call__(self, phi: float) -> Scaling:
        with within_numbers(phi):
            factors = Scaling(resolution=2.0 ** (phi / 2))
        return factors if factors.resolution < 1 else Scaling()


# One dimension alone (Section 3.2, Fig. 3): the rule that gives it the whole cost.
DEPTH_RULE = FastRule(1, 0, 0)
WIDTH_RULE = FastRule(0, 1, 0)
RESOLUTION_RULE = FastRule(0, 0, 1)
UNIFORM_RULE = FastRule(1 / 3, 1 / 3, 1 / 3)
# Below the first network resolution and depth give way before width; above, the paper has no rule of its own.
TINYNET_RULE = LineRule(TINYNET, CompoundRule())
# Deeper where training is long enough to overfit, wider where it is not; resolution grows slowly (Section 5).
RESNET_RS_RULE = LineRule(RESNET_RS, FastRule(0.6, 0, 0.4))
RESNET_RS_WIDE_RULE = LineRule(RESNET_RS, FastRule(0, 0.6, 0.4), widen=True)

RULES: dict[str, Rule] = {
    "compound": CompoundRule(),
    "fast": FastRule(),
    "depth": DEPTH_RULE,
    "width": WIDTH_RULE,
    "resolution": RESOLUTION_RULE,
    "uniform": UNIFORM_RULE,
    "shrink": ShrinkRule(),
    "tinynet": TINYNET_RULE,
    "resnet-rs": RESNET_RS_RULE,
    "resnet-rs-wide": RESNET_RS_WIDE_RULE,
}

KINDS: dict[str, type[CompoundRule] | type[FastRule]] = {"compound": CompoundRule, "fast": FastRule}


def load_rule(path: str | Path) -> Rule:
    """A rule file: `rule: compound` with alpha, beta, gamma, or `rule: fast` with its weights.

    What else a search wrote into it, how the rule was found, stands under `found` and is not read.
    """
    given = read_yaml(path, "check the path", "rule")
    if not isinstance(given, dict):
        raise UsageError(f"{path}: not a rule; write fields such as rule, alpha, beta, gamma")
    kind = given.pop("rule", "compound")
    if kind not in KINDS:
        raise UsageError(f"{path}: there is no kind of rule {kind!r}; {nearest(str(kind), KINDS, 'kinds')}")
    given.pop("found", None)
    return from_mapping(KINDS[kind], given, str(path))


def scale(network: Network, scaling: Scaling, name: str | None = None) -> Network:
    """N(d, w, r): a new network; the given one is unchanged and nothing is built.

    Channels, layers and resolution are rounded as officially; a factor of exactly 1 rounds nothing.
    """
    if not isinstance(scaling, Scaling):
        raise UsageError(f"scaling {scaling!r} is no Scaling; use one such as CompoundRule(1.2, 1.1, 1.15)(phi=1)")

    def channels(count: int, fixed: tuple[str, ...], multiple: int = 1) -> int:
        if "width" in fixed or (scaling.width == 1 and count % multiple == 0):
            return count
        return round_channels(count * scaling.width, math.lcm(network.divisor, multiple))

    def stage(row: Stage, inp: int, *also_fixed: str) -> Stage:
        fixed = (*row.fixed, *also_fixed)
        layers = row.layers if "depth" in fixed else round_layers(row.layers * scaling.depth)
        wider = scaling.width != 1 and "width" not in fixed
        own = scaling.width * (scaling.group_width if row.block.in_groups else 1)
        block = row.block.widened(own, network.divisor) if own != 1 and "width" not in fixed else row.block
        wanted = channels(row.channels, fixed, block.multiple)
        return replace(row, block=block, layers=layers, channels=block.stage_channels(inp, wanted) if wider else wanted)

    def head(row: Head) -> Head:
        hidden = tuple(channels(features, row.fixed) for features in row.hidden)
        return replace(row, channels=row.channels and channels(row.channels, row.fixed), hidden=hidden)

    for dimension, reason in network.unscalable:
        if getattr(scaling, dimension) != 1:
            raise UsageError(f"{network.name} cannot be scaled in {dimension}: {reason}")

    resolution = round_resolution(network.resolution * scaling.resolution)
    if resolution < 1:
        raise UsageError(
            f"{network.name}: resolution factor {scaling.resolution:g} leaves no pixel of {network.resolution}; "
            "scale down less"
        )
    stem = stage(network.stem, network.stem.channels, "depth")
    stages, inp = [], stem.out_channels(stem.channels)
    for row in network.stages:
        stages.append(stage(row, inp))
        inp = stages[-1].out_channels(inp)
    scaled = replace(
        network,
        name=name or scaled_name(network, scaling),
        stem=stem,
        stages=tuple(stages),
        head=head(network.head),
        resolution=resolution,
    )
    # The invariant of Equation 2: the kind of F_i and the strides are the same, only L_i, C_i and H change.
    assert [(type(s.block), s.stride) for s in scaled.stages] == [(type(s.block), s.stride) for s in network.stages]
    return scaled


def scaled_name(network: Network, scaling: Scaling) -> str:
    """`resnet-50 d1.2 w1.1 r1.15`; the network's own name where nothing is scaled."""
    words = [f"{name[0]}{value:.4g}" for name, value in vars(scaling).items() if value != 1]
    return " ".join([network.name, *words])
