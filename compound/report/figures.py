"""Curves and colour maps as inline SVG: transparent, coloured by the page's CSS, the same bytes every time."""

import io
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

# Matplotlib wants colours and CSS has the theme, so figures are drawn in these and then renamed.
INK, TRAIN, HOLDOUT, GRID = "#010203", "#010204", "#010205", "#010206"
THEME = {INK: "currentColor", TRAIN: "var(--second)", HOLDOUT: "var(--accent)", GRID: "var(--line)"}
HEAT = "#4a7de8"  # reads on white and on black
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",  # only measured; the page's font is set instead
    "font.size": 10.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GRID,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": GRID,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "lines.linewidth": 2,
    "lines.markersize": 4.5,
    "path.simplify_threshold": 0.5,
}
CELLS = 125  # a side of the colour map; smaller ones cannot be seen
POINTS = 20  # epochs up to which each one is marked


@contextmanager
def _drawn(width: float, height: float, name: str) -> Iterator[Axes]:
    """Axes to draw on, in CSS px; `name` makes the ids of this figure its own."""
    with rc_context(STYLE | {"svg.hashsalt": name}):
        figure = Figure(figsize=(width / 72, height / 72), layout="constrained")
        yield figure.add_subplot()


def curves(name: str, epochs: Sequence[int], train: Sequence[float], holdout: Sequence[float], percent: bool) -> str:
    """One quantity over the epochs, for the training images and the held-out ones."""
    with _drawn(400, 250, name) as axes:
        marker = "o" if len(epochs) <= POINTS else ""
        axes.plot(epochs, train, color=TRAIN, linestyle=(0, (4, 2)), marker=marker, label="training")
        if any(math.isfinite(value) for value in holdout):
            axes.plot(epochs, holdout, color=HOLDOUT, marker=marker, label="held out")
        if percent:
            axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.set_xlabel("epoch")
        _whole_epochs(axes, epochs)
        axes.legend(loc="lower right" if percent else "upper right")
        return _svg(axes, name)


def rates(name: str, epochs: Sequence[int], rate: Sequence[float]) -> str:
    """The learning rate at the end of every epoch, small."""
    with _drawn(400, 120, name) as axes:
        axes.plot(epochs, rate, color=INK, linewidth=1.5, marker="o" if len(epochs) <= POINTS else "", markersize=3)
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_locator(MaxNLocator(3))
        axes.set_xlabel("epoch")
        _whole_epochs(axes, epochs)
        return _svg(axes, name)


def confusion_map(name: str, confusion: Sequence[Sequence[int]]) -> str:
    """Many classes as a colour map: each cell the share of its true class; a root brings out the rare ones.

    Beyond CELLS classes a cell shows the largest share of the `pooled` × `pooled` classes it stands for.
    """
    red, green, blue, _ = to_rgba(HEAT)
    classes, each = len(confusion), pooled(len(confusion))
    shares = [[0.0] * math.ceil(classes / each) for _ in range(0, classes, each)]
    for truth, row in enumerate(confusion):
        images, cells = max(sum(row), 1), shares[truth // each]
        for predicted, count in enumerate(row):
            if count:
                cells[predicted // each] = max(cells[predicted // each], count / images)
    pixels = [[(red, green, blue, math.sqrt(share)) for share in row] for row in shares]
    end = len(shares) * each - 0.5
    with _drawn(520, 500, name) as axes:
        axes.grid(False)
        axes.imshow(pixels, interpolation="nearest", extent=(-0.5, end, end, -0.5))
        axes.set_xlabel("predicted class (number)")
        axes.set_ylabel("true class (number)")
        axes.spines[:].set_visible(True)
        return _svg(axes, name)


def pooled(classes: int) -> int:
    """Classes a side that a cell of the colour map stands for."""
    return math.ceil(classes / CELLS)


def _whole_epochs(axes: Axes, epochs: Sequence[int]) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    axes.set_xlim(min(epochs) - 0.4, max(epochs) + 0.4)


def _svg(axes: Axes, name: str) -> str:
    """The figure as an SVG element: no header, date or maker, own ids, the page's font and colours."""
    file = io.BytesIO()
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    figure.savefig(file, format="svg", transparent=True)
    svg = file.getvalue().decode()
    svg = svg[svg.index("<svg") :].replace("'DejaVu Sans'", "system-ui")
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)  # that style is the page's
    svg = re.sub(r'^(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'^(<svg[^>]*?) height="[^"]*"', rf'\1 role="img" aria-label="{name.replace("-", " ")}"', svg, count=1)
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", svg)
    for colour, themed in THEME.items():
        svg = svg.replace(colour, themed)
    return svg.strip()
