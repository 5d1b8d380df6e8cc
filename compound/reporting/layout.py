"""Where the boxes of drawn networks stand: all lengths are on scales that the networks of a drawing share."""

from collections.abc import Sequence
from dataclasses import dataclass

from compound.network import Network

HEIGHT = 170.0  # px of the highest resolution in the drawing
CHANNEL = 0.6  # px of one channel, less where channels are many
LAYERS_WIDTH = 560.0  # px that all layers of a network may take
SLOT = 44.0  # px at least for the labels of a stage
GAP = 10.0
BELOW = 24.0  # px between two networks
TOP, BOTTOM = 62.0, 66.0  # px for the name above and the labels below


@dataclass(frozen=True)
class Box:
    """A stage as the drawing knows it."""

    label: str
    resolution: int
    layers: int
    channels: int


@dataclass(frozen=True)
class Scales:
    """How numbers become lengths, the same for every network of a drawing."""

    px: float  # of height, per px of resolution
    channel: float  # of thickness of a layer, per channel

    def thick(self, box: Box) -> float:
        return box.layers * box.channels * self.channel

    def slot(self, box: Box) -> float:
        return max(SLOT, self.thick(box) + GAP)


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
class DrawnNetwork:
    """A network where it stands: `wide`, its middle at `middle`."""

    network: Network
    wide: float
    middle: float
    placed: tuple[Placed, ...]


def lay_out(networks: Sequence[Network]) -> tuple[Scales, list[DrawnNetwork], float, float]:
    """The scales, where everything stands, and the drawing's width and height."""
    drawn = [boxes(network) for network in networks]
    every = [box for row in drawn for box in row]
    most = max(sum(box.layers * box.channels for box in row) for row in drawn)
    scales = Scales(HEIGHT / max(box.resolution for box in every), min(CHANNEL, LAYERS_WIDTH / most))
    rows: list[DrawnNetwork] = []
    top = 0.0
    for network, row in zip(networks, drawn, strict=True):
        high = scales.px * max(box.resolution for box in row)
        rows.append(_row(network, row, scales, top + TOP + high / 2, high))
        top += TOP + high + BOTTOM + BELOW
    width = max(row.wide for row in rows)
    return scales, rows, width, top - BELOW


def _row(network: Network, row: list[Box], scales: Scales, middle: float, high: float) -> DrawnNetwork:
    placed, at = [], 0.0
    for box in row:
        slot, tall = scales.slot(box), box.resolution * scales.px
        wide = scales.thick(box)
        placed.append(Placed(box, at + slot / 2, middle - tall / 2, wide, tall, middle + high / 2 + 18))
        at += slot
    return DrawnNetwork(network, max(at, 8.5 * len(heading(network))), middle, tuple(placed))


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
    layer = one.box.channels * scales.channel
    return [one.left + i * layer for i in range(1, one.box.layers)] if layer >= 3 else []


def heading(network: Network) -> str:
    return f"{network.name}, {network.resolution} px"


def short_label(box: Box) -> str:
    return box.label.removeprefix("stage ")


def layers_text(count: int) -> str:
    return f"{count} layer{'s' * (count != 1)}"
