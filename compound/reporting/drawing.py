"""Networks drawn to scale, as in Figure 2 of the paper: a box a stage, in order, from the image to the classifier.

A box is a slab a layer: as high as the resolution that its stage receives, each slab as thick as its channels are
many. Networks of one drawing share both scales and stand below each other. In a page, text is
`currentColor` and boxes are the CSS variable `--accent`.
"""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from compound.network import Network
from compound.reporting.layout import TOP, DrawnNetwork, Scales, cuts, heading, lay_out, layers_text, short_label
from compound.reporting.picture import DPI, PAPER

SHADE = 0.75  # opacity of a slab
CAPTION = (
    "Drawn to scale: a slab for each layer, as high as the resolution its stage receives (above it, in px) and as "
    "thick as its channels are many. Below: stage, channels, layers."
)


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


def _svg(row: DrawnNetwork, scales: Scales) -> str:
    name = row.placed[0].floor - 18 - 2 * (row.placed[0].floor - 18 - row.middle) - TOP + 14
    svg = [
        f'<text x="4" y="{name:g}" text-anchor="start" font-size="14" font-weight="600">'
        f"{escape(heading(row.network))}</text>",
        f'<path d="M0 {row.middle:g}h{row.wide:g}" stroke="currentColor" opacity=".35"/>',
    ]
    for one in row.placed:
        box, x, y, floor = one.box, one.left, one.top, one.floor
        place = f'x="{x:.2f}" y="{y:.2f}" width="{one.wide:.2f}" height="{one.high:.2f}"'
        lines = "".join(f"M{cut:.2f} {y:.2f}v{one.high:.2f}" for cut in cuts(one, scales))
        told = f"{box.label}: {box.resolution} px, {box.channels} channels, {layers_text(box.layers)}"
        svg += [
            f"<g><title>{escape(told)}</title>",
            f'<rect {place} fill="var(--page, #fff)"/>',  # the line through the middle stays behind
            f'<rect class="stage" {place} rx="1" style="fill:var(--accent, #2457c5)" fill-opacity="{SHADE}"/>',
            f'<path d="{lines}" stroke="var(--page, #fff)" stroke-width="1" opacity=".7"/>' if lines else "",
            f'<text x="{one.centre:.2f}" y="{y - 7:.2f}">{box.resolution}</text>',
            f'<text x="{one.centre:.2f}" y="{floor:g}" opacity=".65">{escape(short_label(box))}</text>',
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
        axes.plot((0, row.wide), (row.middle, row.middle), color=PAPER.line, linewidth=1, zorder=1)
        top = 2 * row.middle - row.placed[0].floor + 18
        axes.text(4, top - TOP + 14, heading(row.network), fontsize=13, weight="bold", parse_math=False)
        for one in row.placed:
            place = ((one.left, one.top), one.wide, one.high)
            axes.add_patch(Rectangle(*place, facecolor="white", zorder=2))
            axes.add_patch(Rectangle(*place, facecolor=PAPER.accent, alpha=SHADE, linewidth=0, zorder=3))
            for cut in cuts(one, scales):
                axes.plot((cut, cut), (one.top, one.top + one.high), color="white", linewidth=0.8, alpha=0.7, zorder=4)
            words: dict[str, Any] = {"ha": "center", "fontsize": 10.5, "color": PAPER.ink, "parse_math": False}
            axes.text(one.centre, one.top - 7, str(one.box.resolution), **words)
            axes.text(one.centre, one.floor, short_label(one.box), alpha=0.65, **words)
            axes.text(one.centre, one.floor + 19, str(one.box.channels), weight="bold", **words)
            axes.text(one.centre, one.floor + 38, f"×{one.box.layers}", **words)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI, metadata={"Software": None})
    return file.getvalue()
