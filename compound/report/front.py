"""Accuracy against cost: every candidate, the front, the chosen one."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, PercentFormatter

from compound.files import write_with
from compound.quantity import limit_text
from compound.search.objective import front

CANDIDATE, FRONT, CHOSEN = "#9aa7b8", "#4a7de8", "#d9534f"
UNITS = {"macs": "multiply-adds", "params": "parameters", "memory": "bytes of memory", "latency": "time of one call"}


def write_front(
    points: Sequence[tuple[float, float]],
    chosen: tuple[float, float],
    folder: Path,
    *,
    cost: str,
    target: float,
    judged: str,
) -> None:
    """search.svg and search.png of (accuracy, cost) `points`; `judged` says what the accuracy is."""
    figure = Figure(figsize=(7, 4.4), layout="constrained")
    axes = figure.add_subplot()
    best = [points[i] for i in front(points)]
    axes.scatter(
        [c for _, c in points], [a for a, _ in points], s=14, color=CANDIDATE, label=f"{len(points)} candidates"
    )
    axes.step([c for _, c in best], [a for a, _ in best], where="post", color=FRONT, marker="o", ms=4, label="front")
    axes.scatter([chosen[1]], [chosen[0]], s=70, color=CHOSEN, marker="*", zorder=3, label="chosen")
    axes.axvline(target, color=CANDIDATE, linestyle=(0, (4, 3)), linewidth=1)
    axes.annotate("target", (target, 0.02), xycoords=("data", "axes fraction"), ha="right", rotation=90, fontsize=8)
    axes.set_xlabel(UNITS.get(cost, cost))
    axes.set_ylabel(judged)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: limit_text(cost, value)))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e5e8ee")
    axes.set_axisbelow(True)
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    for kind in ("svg", "png"):
        write_with(folder / f"search.{kind}", partial(figure.savefig, format=kind, dpi=150))
