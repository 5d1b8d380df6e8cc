"""Accuracy against cost: every candidate, the front, the chosen one."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from compound.files import write_bytes
from compound.quantity import limit_text
from compound.reporting.labels import legend_outside, percents
from compound.reporting.picture import Palette, Plot, on_axes
from compound.search.objective import front

UNITS = {"macs": "multiply-adds", "params": "parameters", "memory": "bytes of memory", "latency": "time of one call"}


class FrontPoint(NamedTuple):
    accuracy: float
    cost: float


def front_plot(
    name: str, points: Sequence[FrontPoint], chosen: FrontPoint, *, cost: str, target: float, judged: str
) -> Plot:
    """All `points` and what no other beats in both; `judged` says what the accuracy is."""
    best = [points[i] for i in front(points)]

    def draw(axes: Axes, palette: Palette) -> None:
        axes.scatter(
            [c for _, c in points], [a for a, _ in points], s=14, color=palette.quiet, alpha=0.6,
            label=f"{len(points)} candidates",
        )  # fmt: skip
        ends = [c for _, c in best], [a for a, _ in best]
        axes.step(*ends, where="post", color=palette.accent, marker="o", ms=4, label="front")
        axes.scatter(
            [chosen.cost], [chosen.accuracy], s=110, color=palette.second, marker="*", zorder=5, label="chosen"
        )
        axes.axvline(target, color=palette.quiet, linestyle=(0, (4, 3)), linewidth=1)
        place = (target, 0.02)
        axes.annotate("target", place, xycoords=("data", "axes fraction"), ha="right", rotation=90, fontsize=10)
        axes.set_xlabel(UNITS.get(cost, cost))
        axes.set_ylabel(judged)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: limit_text(cost, value)))
        axes.yaxis.set_major_formatter(percents())
        legend_outside(axes)

    return Plot(name, "Accuracy against cost", "", (620, 370), on_axes(draw))


def write_front(
    points: Sequence[tuple[float, float]],
    chosen: tuple[float, float],
    folder: Path,
    *,
    cost: str,
    target: float,
    judged: str,
) -> None:
    """search.svg and search.png of (accuracy, cost) `points`."""
    every = [FrontPoint(*point) for point in points]
    plot = front_plot("search", every, FrontPoint(*chosen), cost=cost, target=target, judged=judged)
    for kind, data in plot.files().items():
        write_bytes(folder / f"search.{kind}", data)
