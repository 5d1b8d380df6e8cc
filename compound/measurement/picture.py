"""Accuracy against latency, as the paper's Figures 1 and 5 show accuracy against cost."""

import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, PercentFormatter, ScalarFormatter

from compound.errors import UsageError
from compound.files import write_with
from compound.measurement.session import Measured

SUFFIXES = (".svg", ".png")
MARKERS = "osD^vP*X"


def check_picture(path: Path) -> None:
    """Refuse a file that cannot be written as a picture before anything is measured."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path} is not a picture that can be drawn; end its name in {' or '.join(SUFFIXES)}")


def draw(measured: Sequence[Measured], path: Path) -> Path:
    """Top-1 over the median latency with its interval; a line and a marker for each runtime and batch."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    known = [one for one in measured if one.subject.top1 is not None]
    series: dict[str, list[Measured]] = {}
    batches = {one.batch for one in known}
    for one in known:
        label = one.runtime if batches == {1} else f"{one.runtime}, batch {one.batch}"
        series.setdefault(label, []).append(one)
    for marker, (label, points) in zip(MARKERS * len(series), series.items(), strict=False):
        points = sorted(points, key=lambda one: one.timing.median)
        x = [one.timing.median * 1e3 for one in points]
        ends = [one.timing.interval() for one in points]
        error = [[a - low * 1e3 for a, (low, _) in zip(x, ends, strict=True)],
                 [high * 1e3 - a for a, (_, high) in zip(x, ends, strict=True)]]  # fmt: skip
        y = [one.subject.top1 or math.nan for one in points]
        axes.errorbar(x, y, xerr=error, marker=marker, linestyle="none", capsize=2, label=label)
    best = min(series.values(), key=lambda points: min(one.timing.median for one in points))
    for one in best:
        axes.annotate(
            one.subject.name, (one.timing.median * 1e3, one.subject.top1 or 0), (-6, 5), ha="right",
            textcoords="offset points", fontsize=8,
        )  # fmt: skip
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(x=0.25, y=0.12)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    sources = {one.subject.top1_from for one in known}
    axes.set_xlabel("median latency of a call, ms (logarithmic)")
    axes.set_ylabel("top-1 accuracy" + (" (as the paper prints it)" if sources == {"paper"} else ""))
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    kind = path.suffix.lower()[1:]
    return write_with(path, lambda temporary: figure.savefig(temporary, format=kind, dpi=150))
