"""Networks drawn to scale, as in Figure 2 of the paper: a box a stage, in order, from the image to the classifier.

A box is as high as the resolution that its stage receives, as thick as its layers are many, and the stronger in
colour the more channels it has. Networks of one drawing share all three scales; two stand side by side, more below
each other. In a page, text is `currentColor` and boxes are the CSS variable `--accent`.
"""

import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from compound.network import Network
from compound.report.picture import DPI, PAPER

HEIGHT = 170.0  # px of the highest resolution in the drawing
LAYER = 26.0  # px of one layer, less where layers are many
LAYERS_WIDTH = 560.0  # px that all layers of a line may take
SLOT = 44.0  # px at least for the labels of a stage
GAP = 10.0
BETWEEN = 46.0  # px between two networks of a line
BELOW = 24.0  # px between two lines
TOP, BOTTOM = 62.0, 66.0  # px for the name above and the labels below
PALEST, DARKEST = 0.2, 0.95
CAPTION = (
    "Drawn to scale: a box a stage, as high as the resolution it receives (above it, in px) and as thick as its "
    "layers are many; the stronger its colour, the more channels it has. Below: stage, channels, layers."
)


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


@dataclass(frozen=True)
class Drawing:
    """A picture of networks."""

    networks: tuple[Network, ...]
    name: str = "networks"
    title: str = ""
    caption: str = CAPTION
    wide: bool = True

    def inline(self) -> str:
        return draw_networks(self.networks)

    def files(self) -> dict[str, bytes]:
        themed = {"currentColor": PAPER.ink, "inherit": "sans-serif", ' class="network"': ""}
        svg = re.sub(r"var\(--accent, #\w+\)", PAPER.accent, self.inline())
        svg = re.sub(r"var\(--page, (#\w+)\)", r"\1", svg)
        for word, plain in themed.items():
            svg = svg.replace(word, plain)
        return {"svg": svg.encode(), "png": _png(self.networks)}


def draw_network(network: Network) -> str:
    """One network as SVG."""
    return draw_networks([network])


def draw_networks(networks: Sequence[Network]) -> str:
    """Networks on common scales, as SVG."""
    scales, rows, width, height = lay_out(networks)
    title = escape(", ".join(f"{network.name} at {network.resolution} px" for network in networks) + ", drawn to scale")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="network" role="img" aria-label="{title}" '
        f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" fill="currentColor" '
        f'font-family="inherit" font-size="12" text-anchor="middle"><title>{title}</title>'
        f"{''.join(_svg(row, scales) for row in rows)}</svg>"
    )


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
    return Row(network, left, max(at - left, 8.5 * len(_heading(network))), middle, tuple(placed))


def boxes(network: Network) -> list[Box]:
    """The stages with what their boxes show, stem first and head last."""
    first = {row.stage: row for row in reversed(network.blocks())}
    stages = [
        Box(first[number].label, first[number].input[1], stage.layers, stage.channels)
        for number, stage in enumerate((network.stem, *network.stages))
    ]
    head = first[len(network.stages) + 1]
    return [*stages, Box("head", head.input[1], 1, network.head.channels or head.input[0])]


def _svg(row: Row, scales: Scales) -> str:
    name = row.placed[0].floor - 18 - 2 * (row.placed[0].floor - 18 - row.middle) - TOP + 14
    svg = [
        f'<text x="{row.left + 4:g}" y="{name:g}" text-anchor="start" font-size="14" font-weight="600">'
        f"{escape(_heading(row.network))}</text>",
        f'<path d="M{row.left:g} {row.middle:g}h{row.wide:g}" stroke="currentColor" opacity=".35"/>',
    ]
    for one in row.placed:
        box, x, y, floor = one.box, one.left, one.top, one.floor
        place = f'x="{x:.2f}" y="{y:.2f}" width="{one.wide:.2f}" height="{one.high:.2f}"'
        cuts = "".join(f"M{cut:.2f} {y:.2f}v{one.high:.2f}" for cut in _cuts(one, scales))
        told = f"{box.label}: {box.resolution} px, {box.channels} channels, {_layers(box.layers)}"
        svg += [
            f"<g><title>{escape(told)}</title>",
            f'<rect {place} fill="var(--page, #fff)"/>',  # the line through the middle stays behind
            f'<rect class="stage" {place} rx="1" style="fill:var(--accent, #2457c5)" '
            f'fill-opacity="{scales.shade(box.channels):.3f}"/>',
            f'<path d="{cuts}" stroke="var(--page, #fff)" stroke-width="1" opacity=".7"/>' if cuts else "",
            f'<text x="{one.centre:.2f}" y="{y - 7:.2f}">{box.resolution}</text>',
            f'<text x="{one.centre:.2f}" y="{floor:g}" opacity=".65">{escape(_short(box))}</text>',
            f'<text x="{one.centre:.2f}" y="{floor + 19:g}" font-weight="600">{box.channels}</text>',
            f'<text x="{one.centre:.2f}" y="{floor + 38:g}">×{box.layers}</text>',
            "</g>",
        ]
    return "".join(svg)


def _png(networks: Sequence[Network]) -> bytes:
    """The same drawing by Matplotlib, for whoever cannot use SVG."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    scales, rows, width, height = lay_out(networks)
    figure = Figure(figsize=(width / 72, height / 72))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    for row in rows:
        axes.plot((row.left, row.left + row.wide), (row.middle, row.middle), color=PAPER.line, linewidth=1, zorder=1)
        top = 2 * row.middle - row.placed[0].floor + 18
        axes.text(row.left + 4, top - TOP + 14, _heading(row.network), fontsize=13, weight="bold", parse_math=False)
        for one in row.placed:
            place = ((one.left, one.top), one.wide, one.high)
            axes.add_patch(Rectangle(*place, facecolor="white", zorder=2))
            shade = scales.shade(one.box.channels)
            axes.add_patch(Rectangle(*place, facecolor=PAPER.accent, alpha=shade, linewidth=0, zorder=3))
            for cut in _cuts(one, scales):
                axes.plot((cut, cut), (one.top, one.top + one.high), color="white", linewidth=0.8, alpha=0.7, zorder=4)
            words = {"ha": "center", "fontsize": 10.5, "color": PAPER.ink, "parse_math": False}
            axes.text(one.centre, one.top - 7, str(one.box.resolution), **words)
            axes.text(one.centre, one.floor, _short(one.box), alpha=0.65, **words)
            axes.text(one.centre, one.floor + 19, str(one.box.channels), weight="bold", **words)
            axes.text(one.centre, one.floor + 38, f"×{one.box.layers}", **words)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI, metadata={"Software": None})
    return file.getvalue()


def _cuts(one: Placed, scales: Scales) -> list[float]:
    """Where one layer ends and the next begins, as long as layers can be told apart."""
    return [one.left + i * scales.layer for i in range(1, one.box.layers)] if scales.layer >= 3 else []


def _heading(network: Network) -> str:
    return f"{network.name}, {network.resolution} px"


def _short(box: Box) -> str:
    return box.label.removeprefix("stage ")


def _layers(count: int) -> str:
    return f"{count} layer{'s' * (count != 1)}"
