"""Curves and colour maps of trainings."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.ticker import FuncFormatter, MaxNLocator

from compound.lettering import lettered
from compound.reporting.labels import End, name_lines, percents
from compound.reporting.picture import Palette, Plot, on_axes
from compound.reporting.results import Confusion

HEAT = "#4a7de8"  # reads on white and on black
CELLS = 125  # a side of the colour map; smaller ones cannot be seen
NAMED = 30  # classes up to which the picture has names and counts
POINTS = 20  # epochs up to which each one is marked
DASHES = (0, (4, 2))
HIGH, FAR = 25.0, 20.0  # a loss above all that guessing gives (10 with 21,841 classes), and times the smallest one


class EpochCurve(NamedTuple):
    """One quantity over the epochs."""

    label: str
    epochs: Sequence[int]
    values: Sequence[float]


def curves(
    name: str, title: str, lines: Sequence[EpochCurve], *, percent: bool, dashed: Sequence[EpochCurve] = ()
) -> Plot:
    """Quantities over the epochs: `lines` in the colours of the series, `dashed` ones in the second colour."""

    def draw(axes: Axes, palette: Palette) -> None:
        colours = (palette.accent, *palette.series[1:])
        drawn: list[tuple[EpochCurve, str, Any]] = [(one, palette.second, DASHES) for one in dashed]
        drawn += [(one, colours[number % len(colours)], "-") for number, one in enumerate(lines)]
        for one, colour, dashes in drawn:
            if any(math.isfinite(value) for value in one.values):
                marker = "o" if len(one.epochs) <= POINTS else ""
                axes.plot(one.epochs, one.values, color=colour, linestyle=dashes, marker=marker, label=one.label)
        if percent:
            axes.yaxis.set_major_formatter(percents())
        if exploded([value for one, _, _ in drawn for value in one.values]):
            axes.set_yscale("log")
            axes.set_ylabel("logarithmic scale")
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        else:
            axes.yaxis.set_major_locator(MaxNLocator(5))
        _whole_epochs(axes, [epoch for one, _, _ in drawn for epoch in one.epochs])
        known = [(one, [v for v in one.values if math.isfinite(v)], colour) for one, colour, _ in drawn]
        name_lines(axes, [End(values[-1], one.label, colour) for one, values, colour in known if values])

    return Plot(name, title, "", (400, 250), on_axes(draw))


def exploded(losses: Sequence[float]) -> bool:
    """Whether a loss rose so far that on a linear scale all others would lie on the axis."""
    positive = [value for value in losses if math.isfinite(value) and value > 0]
    return bool(positive) and max(positive) > max(HIGH, FAR * min(positive))


def rates(name: str, title: str, epochs: Sequence[int], rate: Sequence[float]) -> Plot:
    """The learning rate at the end of every epoch, small."""

    def draw(axes: Axes, palette: Palette) -> None:
        marker = "o" if len(epochs) <= POINTS else ""
        axes.plot(epochs, rate, color=palette.ink, linewidth=1.5, marker=marker, markersize=3)
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_locator(MaxNLocator(3))
        _whole_epochs(axes, epochs)

    return Plot(name, title, "", (400, 120), on_axes(draw))


def confusion_map(name: str, confusion: Confusion) -> Plot:
    """Many classes as a colour map: each cell the share of its true class; a root brings out the rare ones.

    Beyond CELLS classes a cell shows the largest share of the `pooled` × `pooled` classes it stands for.
    """
    red, green, blue, _ = to_rgba(HEAT)
    classes, each = len(confusion), pooled(len(confusion))
    shares = [[0.0] * math.ceil(classes / each) for _ in range(0, classes, each)]
    for truth, row in enumerate(confusion):
        images, cells = sum(row.values()), shares[truth // each]
        for predicted, count in row.items():
            cells[predicted // each] = max(cells[predicted // each], count / images)
    pixels = [[(red, green, blue, math.sqrt(share)) for share in row] for row in shares]
    end = len(shares) * each - 0.5

    def draw(axes: Axes, palette: Palette) -> None:
        axes.grid(False)
        axes.imshow(pixels, interpolation="nearest", extent=(-0.5, end, end, -0.5))
        axes.set_xlabel("predicted class (number)")
        axes.set_ylabel("true class (number)")
        axes.spines[:].set_visible(True)

    return Plot(name, "Confusion", "", (520, 500), on_axes(draw))


def confusion_picture(confusion: Confusion, classes: Sequence[str]) -> Plot:
    """A picture of any number of classes: with names and counts where they can be read, else a colour map."""
    if len(classes) > NAMED:
        return confusion_map("confusion_matrix", confusion)
    counts = [[row.get(number, 0) for number in range(len(classes))] for row in confusion]
    shares = [[count / max(sum(row), 1) for count in row] for row in counts]
    red, green, blue, _ = to_rgba(HEAT)

    def draw(axes: Axes, palette: Palette) -> None:
        axes.grid(False)
        axes.imshow([[(red, green, blue, math.sqrt(share)) for share in row] for row in shares])
        for truth, row in enumerate(counts):
            for predicted, count in enumerate(row):
                if count:
                    axes.text(predicted, truth, f"{count:,}", ha="center", va="center", fontsize=9)
        named = [lettered(name) for name in classes]
        for axis, turned in ((axes.xaxis, 90), (axes.yaxis, 0)):
            axis.set_ticks(range(len(named)), [words.text for words in named], rotation=turned, parse_math=False)
            for label, words in zip(axis.get_ticklabels(), named, strict=True):
                label.set_fontfamily(words.families)
        axes.set_xlabel("predicted class")
        axes.set_ylabel("true class")

    side = 180 + 36 * len(classes)
    return Plot("confusion_matrix", "Confusion", "", (side, side), on_axes(draw))


def pooled(classes: int) -> int:
    """Classes a side that a cell of the colour map stands for."""
    return math.ceil(classes / CELLS)


def _whole_epochs(axes: Axes, epochs: Sequence[int]) -> None:
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    axes.set_xlim(min(epochs) - 0.4, max(epochs) + 0.4)
