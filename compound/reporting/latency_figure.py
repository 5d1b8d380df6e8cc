"""What `compound measure` found, as the paper's Figures 1 and 5 show accuracy against cost."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from compound.measurement import Measured
from compound.reporting.cost_figures import Curve, Point, draw_curves
from compound.reporting.picture import Palette, Plot, on_axes


def latency_plot(measured: Sequence[Measured]) -> Plot:
    """Top-1 over the median latency with its interval, the networks whose accuracy is known; one colour and marker a
    runtime and batch. The names stand beside the fastest."""
    known = [one for one in measured if one.subject.top1 is not None]
    batches = {one.batch for one in known}
    series: dict[str, list[Measured]] = {}
    for one in known:
        label = one.runtime if len(batches) == 1 else f"{one.runtime}, batch {one.batch}"
        series.setdefault(label, []).append(one)
    fastest = min(series, key=lambda label: min(one.timing.median for one in series[label]))
    curves = [
        Curve(label, [point(one, one.subject.name if label == fastest else "") for one in found], joined=False)
        for label, found in series.items()
    ]
    printed = {one.subject.top1_from for one in known} == {"paper"}

    def draw(axes: Axes, palette: Palette) -> None:
        draw_curves(axes, palette, curves, "latency")
        axes.set_xlabel("median latency of a call" + (f", batch {min(batches)}" if len(batches) == 1 else ""))
        axes.set_ylabel("top-1 accuracy" + (" (as the paper prints it)" if printed else ""))

    return Plot("latency", "Accuracy against latency", "", (504, 324), on_axes(draw))


def point(one: Measured, label: str) -> Point:
    subject, top1 = one.subject, one.subject.top1 or 0.0
    return Point(label, subject.macs, 0, top1, top1, top1, one.timing.median, one.timing.interval())
