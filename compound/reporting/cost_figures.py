"""Accuracy against cost: the shape of Figures 1, 3, 4, 5 and 8."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from compound.quantity import brief_seconds, short
from compound.reporting.labels import End, legend_outside, name_lines, percents, share_limits
from compound.reporting.picture import Palette, Plot, on_axes

CostName = Literal["macs", "params", "latency"]
AXES = {"macs": "multiply-adds", "params": "parameters", "latency": "latency, batch 1"}
NARROW = 2.5  # dearest over cheapest, up to which the axis of cost is linear
LETTER = 6.1  # width of a letter of a label in points, on the average
Rectangle = tuple[float, float, float, float]  # left, low, right, high
MARKER = 5.0  # half of a marker's side in points
COVERED = 4  # how much worse a covered marker is than a covered label
SPOTS = 24  # along a line from point to point
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "d")


class Point(NamedTuple):
    """A network: its costs, its accuracy and the interval of that, all shares; `label` is written beside it."""

    label: str
    macs: float
    params: float
    accuracy: float
    low: float
    high: float
    latency: float | None = None
    latency_ends: tuple[float, float] | None = None  # of its interval


class Curve(NamedTuple):
    """Networks that belong together, from cheap to dear. `strong` ones are what the figure is about."""

    label: str
    points: Sequence[Point]
    strong: bool = False
    joined: bool = True


def against_cost(name: str, points: Sequence[Point], cost: CostName, title: str = "", caption: str = "") -> Plot:
    """Every point on its own, with its label."""
    title = title or f"Accuracy against {AXES[cost]}"
    return accuracy_plot(name, [Curve("", points, True, joined=False)], cost, title, caption)


def accuracy_plot(
    name: str, curves: Sequence[Curve], cost: CostName, title: str, caption: str, size: tuple[float, float] = (420, 320)
) -> Plot:
    return Plot(name, title, caption, size, on_axes(lambda axes, palette: draw_curves(axes, palette, curves, cost)))


def draw_curves(axes: Axes, palette: Palette, curves: Sequence[Curve], cost: CostName) -> None:
    """Curves in the colours of the series; the strong ones in front, and thicker."""
    for number, curve in enumerate(curves):
        colour = palette.series[number % len(palette.series)]
        points = sorted(curve.points, key=lambda point: _spent(point, cost))
        spent, accuracy = [_spent(point, cost) for point in points], [point.accuracy for point in points]
        judged = _errors(accuracy, [(point.low, point.high) for point in points])
        timed = _errors(spent, [point.latency_ends or (x, x) for x, point in zip(spent, points, strict=True)])
        axes.errorbar(
            spent, accuracy, yerr=judged, xerr=timed if cost == "latency" else None,
            color=colour, label=curve.label or None,
            marker=MARKERS[number % len(MARKERS)], markersize=7 if curve.strong else 5.5, elinewidth=1.2, capsize=3,
            linestyle="-" if curve.joined else "none", linewidth=2.4 if curve.strong else 1.5,
            zorder=4 if curve.strong else 3,
        )  # fmt: skip
    spent = [_spent(point, cost) for curve in curves for point in curve.points]
    if max(spent) > NARROW * min(spent):
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xticks(_ticks(min(spent), max(spent)))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.margins(x=0.12)
    every = [point for curve in curves for point in curve.points]
    axes.set_ylim(share_limits([p.accuracy for p in every], [(p.low, p.high) for p in every]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _shown(value, cost)))
    _label(axes, curves, cost)
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_major_formatter(percents())
    axes.set_xlabel(AXES[cost])
    axes.set_ylabel("top-1 accuracy")
    named = [(curve, palette.series[i % len(palette.series)]) for i, curve in enumerate(curves) if curve.label]
    if named and all(curve.joined for curve, _ in named):
        last = [(max(curve.points, key=lambda point: _spent(point, cost)), curve, colour) for curve, colour in named]
        name_lines(axes, [End(point.accuracy, curve.label, colour) for point, curve, colour in last])
    elif named:
        legend_outside(axes)


def _errors(middles: Sequence[float], ends: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]] | None:
    """How far each interval reaches down and up; None where none is known."""
    down = [max(middle - low, 0.0) for middle, (low, _) in zip(middles, ends, strict=True)]
    up = [max(high - middle, 0.0) for middle, (_, high) in zip(middles, ends, strict=True)]
    return (down, up) if any(value > 0 for value in (*down, *up)) else None


def _label(axes: Axes, curves: Sequence[Curve], cost: CostName) -> None:
    """Labels beside their points, each where it covers least of labels, points and lines, below right if it is free."""
    points = [point for curve in curves for point in curve.points]
    places = [axes.transData.transform((_spent(point, cost), point.accuracy)) for point in points]
    per_point = axes.figure.dpi / 72
    half = MARKER * per_point
    marks = [(x - half, y - half, x + half, y + half) for x, y in places]
    taken = marks * COVERED
    taken += [spot for curve in curves if curve.joined for spot in _along(axes, curve, cost)]
    for point, (x, y) in zip(points, places, strict=True):
        if not point.label:
            continue
        wide, high = LETTER * len(point.label) * per_point, 11 * per_point
        offsets = [(7, -13), (7, 4), (-7, 4), (-7, -13), (9, -5), (-9, -5), (7, -23), (-7, 13), (7, 15), (-7, -23)]
        boxes = []
        for right, up in offsets:
            left, low = x + right * per_point - (wide if right < 0 else 0), y + up * per_point
            boxes.append((left, low, left + wide, low + high))
        covered = [sum(_overlap(box, other) for other in taken) for box in boxes]
        best = covered.index(min(covered))
        taken.append(boxes[best])
        axes.annotate(
            point.label, (_spent(point, cost), point.accuracy), xytext=offsets[best], textcoords="offset points",
            ha="right" if offsets[best][0] < 0 else "left", fontsize=10, parse_math=False, zorder=5,
        )  # fmt: skip


def _along(axes: Axes, curve: Curve, cost: CostName) -> list[Rectangle]:
    """Small squares on the line of a curve."""
    places = [axes.transData.transform((_spent(point, cost), point.accuracy)) for point in curve.points]
    places.sort(key=lambda place: float(place[0]))
    spots = [(1 - t / SPOTS) * one + t / SPOTS * two for one, two in pairwise(places) for t in range(SPOTS)]
    return [(float(x) - 2, float(y) - 2, float(x) + 2, float(y) + 2) for x, y in spots]


def _overlap(one: Rectangle, other: Rectangle) -> float:
    """The area that both cover."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return max(wide, 0.0) * max(high, 0.0)


def _spent(point: Point, cost: CostName) -> float:
    spent: float = getattr(point, cost)
    return spent


def _shown(value: float, cost: CostName) -> str:
    text = brief_seconds(value) if cost == "latency" else short(value)
    return re.sub(r"\.0+(?=\D*$)", "", text)


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers, 1, 2 and 5 of each decade; of many decades the powers of ten."""
    every = [step * 10.0**power for power in range(-9, 16) for step in (1, 2, 5)]
    within = [tick for tick in every if low * 0.9 <= tick <= high * 1.1]
    decades = [tick for tick in within if f"{tick:e}".startswith("1")]
    return decades if len(within) > 9 else within
