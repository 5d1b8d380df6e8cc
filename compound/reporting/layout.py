"""Where the boxes of drawn networks stand: all lengths are on scales that the networks of a drawing share."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from compound.network import Network

HEIGHT = 170.0  # px of the highest resolution in the drawing
LAYER = 26.0  # px of one layer, less where layers are many
LAYERS_WIDTH = 560.0  # px that all layers of a line may take
SLOT = 44.0  # px at least for the labels of a stage
GAP = 10.0
BETWEEN = 46.0  # px between two networks of a line
BELOW = 24.0  # px between two lines
TOP, BOTTOM = 62.0, 66.0  # px for the name above and the labels below
PALEST, DARKEST = 0.2, 0.95


@dataclass(frozen=True)
class Box:
    """A stage as the drawing knows it."""

    label: str
    resolution: int
    layers: int
    channels: int


@dataclass(frozen=True)
class Scales:
    """How numbers become lengths and shades, the same for every network of a drawing."""

    px: float  # of height, per px of resolution
    layer: float  # of thickness, per layer
    fewest: int
    most: int

    def shade(self, channels: int) -> float:
        """Opacity, even steps for even factors of channels."""
        span = math.log(self.most / self.fewest)
        return PALEST + (DARKEST - PALEST) * (math.log(channels / self.fewest) / span if span else 0.5)

    def slot(self, box: Box) -> float:
        return max(SLOT, box.layers * self.layer + GAP)


@dataclass(frozen=True)
class Placed:
    """A box where it stands, in px from the drawing's upper left corner."""

    box: Box
    centre: float
    top: float
    wide: float
    high: float
    floor: float  # the baseline of the first label below

    @property
    def left(self) -> float:
        return self.centre - self.wide / 2


@dataclass(frozen=True)
class Row:
    """A network where it stands: from `left` on, `wide`, its middle at `middle`."""

    network: Network
    left: float
    wide: float
    middle: float
    placed: tuple[Placed, ...]


def lay_out(networks: Sequence[Network]) -> tuple[Scales, list[Row], float, float]:
    """The scales, where everything stands, and the drawing's width and height."""
    drawn = [boxes(network) for network in networks]
    lines = [drawn] if len(drawn) < 3 else [[row] for row in drawn]
    every = [box for row in drawn for box in row]
    channels = [box.channels for box in every]
    scales = Scales(
        HEIGHT / max(box.resolution for box in every),
        min(LAYER, LAYERS_WIDTH / max(sum(box.layers for row in line for box in row) for line in lines)),
        min(channels),
        max(channels),
    )
    rows: list[Row] = []
    top = width = 0.0
    left_over = iter(networks)
    for line in lines:
        high = scales.px * max(box.resolution for row in line for box in row)
        left = 0.0
        for row in line:
            rows.append(_row(next(left_over), row, scales, left, top + TOP + high / 2, high))
            left += rows[-1].wide + BETWEEN
        width, top = max(width, left - BETWEEN), top + TOP + high + BOTTOM + BELOW
    return scales, rows, width, top - BELOW


def _row(network: Network, row: list[Box], scales: Scales, left: float, middle: float, high: float) -> Row:
    placed, at = [], left
    for box in row:
        slot, tall = scales.slot(box), box.resolution * scales.px
        wide = box.layers * scales.layer
        placed.append(Placed(box, at + slot / 2, middle - tall / 2, wide, tall, middle + high / 2 + 18))
        at += slot
    return Row(network, left, max(at - left, 8.5 * len(heading(network))), middle, tuple(placed))


def boxes(network: Network) -> list[Box]:
    """The stages with what their boxes show, stem first and head last."""
    first = {row.stage: row for row in reversed(network.blocks())}
    stages = [
        Box(first[number].label, first[number].input[1], stage.layers, stage.channels)
        for number, stage in enumerate((network.stem, *network.stages))
    ]
    head = first[len(network.stages) + 1]
    return [*stages, Box("head", head.input[1], 1, network.head.channels or head.input[0])]


def cuts(one: Placed, scales: Scales) -> list[float]:
    """Where one layer ends and the next begins, as long as layers can be told apart."""
    return [one.left + i * scales.layer for i in range(1, one.box.layers)] if scales.layer >= 3 else []


def heading(network: Network) -> str:
    return f"{network.name}, {network.resolution} px"


def short_label(box: Box) -> str:
    return box.label.removeprefix("stage ")


def layers_text(count: int) -> str:
    return f"{count} layer{'s' * (count != 1)}"
