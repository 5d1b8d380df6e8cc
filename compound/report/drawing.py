"""Networks drawn to scale, as in Figure 2 of the paper: a box a stage, in order, from the image to the classifier.

A box is as high as the resolution that its stage receives, as thick as its layers are many, and the stronger in
colour the more channels it has. Networks of one drawing share all three scales. Text is `currentColor` and boxes are
the CSS variable `--accent`, so the SVG suits light and dark pages.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from compound.network import Network

HEIGHT = 170.0  # px of the highest resolution in the drawing
LAYER = 26.0  # px of one layer, less where layers are many
LAYERS_WIDTH = 560.0  # px that all layers of the drawing may take
SLOT = 44.0  # px at least for the labels of a stage
GAP = 10.0
BETWEEN = 46.0  # px between two networks
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


def draw_network(network: Network) -> str:
    """One network as SVG."""
    return draw_networks([network])


def draw_networks(networks: Sequence[Network]) -> str:
    """Networks side by side on common scales, as SVG."""
    drawn = [boxes(network) for network in networks]
    every = [box for row in drawn for box in row]
    channels = [box.channels for box in every]
    scales = Scales(
        HEIGHT / max(box.resolution for box in every),
        min(LAYER, LAYERS_WIDTH / sum(box.layers for box in every)),
        min(channels),
        max(channels),
    )
    parts, left = [], 0.0
    for network, row in zip(networks, drawn, strict=True):
        svg, width = _draw(network, row, scales, left)
        parts.append(svg)
        left += width + BETWEEN
    width, height = left - BETWEEN, TOP + HEIGHT + BOTTOM
    title = escape(", ".join(f"{network.name} at {network.resolution} px" for network in networks) + ", drawn to scale")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="network" role="img" aria-label="{title}" '
        f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" fill="currentColor" '
        f'font-family="inherit" font-size="12" text-anchor="middle"><title>{title}</title>{"".join(parts)}</svg>'
    )


def boxes(network: Network) -> list[Box]:
    """The stages with what their boxes show, stem first and head last."""
    first = {row.stage: row for row in reversed(network.blocks())}
    stages = [
        Box(first[number].label, first[number].input[1], stage.layers, stage.channels)
        for number, stage in enumerate((network.stem, *network.stages))
    ]
    head = first[len(network.stages) + 1]
    return [*stages, Box("head", head.input[1], 1, network.head.channels or head.input[0])]


def _draw(network: Network, row: list[Box], scales: Scales, left: float) -> tuple[str, float]:
    """One network from `left` on, and the width it takes."""
    middle, floor = TOP + HEIGHT / 2, TOP + HEIGHT + 18
    width = sum(scales.slot(box) for box in row)
    svg = [
        f'<text x="{left + 4:g}" y="14" text-anchor="start" font-size="14" font-weight="600">{escape(network.name)}'
        f", {network.resolution} px</text>",
        f'<path d="M{left:g} {middle:g}h{width:g}" stroke="currentColor" opacity=".35"/>',
    ]
    for box in row:
        slot, thick, high = scales.slot(box), box.layers * scales.layer, box.resolution * scales.px
        x, y, centre = left + (slot - thick) / 2, middle - high / 2, left + slot / 2
        place = f'x="{x:.2f}" y="{y:.2f}" width="{thick:.2f}" height="{high:.2f}"'
        cuts = "".join(
            f"M{x + i * scales.layer:.2f} {y:.2f}v{high:.2f}" for i in range(1, box.layers) if scales.layer >= 3
        )
        told = f"{box.label}: {box.resolution} px, {box.channels} channels, {_layers(box.layers)}"
        svg += [
            f"<g><title>{escape(told)}</title>",
            f'<rect {place} fill="var(--page, #fff)"/>',  # the line through the middle stays behind
            f'<rect class="stage" {place} rx="1" style="fill:var(--accent, #2457c5)" '
            f'fill-opacity="{scales.shade(box.channels):.3f}"/>',
            f'<path d="{cuts}" stroke="var(--page, #fff)" stroke-width="1" opacity=".7"/>' if cuts else "",
            f'<text x="{centre:.2f}" y="{y - 7:.2f}">{box.resolution}</text>',
            f'<text x="{centre:.2f}" y="{floor:g}" opacity=".65">{escape(box.label.removeprefix("stage "))}</text>',
            f'<text x="{centre:.2f}" y="{floor + 19:g}" font-weight="600">{box.channels}</text>',
            f'<text x="{centre:.2f}" y="{floor + 38:g}">×{box.layers}</text>',
            "</g>",
        ]
        left += slot
    return "".join(svg), width


def _layers(count: int) -> str:
    return f"{count} layer{'s' * (count != 1)}"
