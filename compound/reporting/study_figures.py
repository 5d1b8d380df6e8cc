"""Figures 1, 3, 4, 5, 6 and 8 of the paper from a study: means over seeds with their 95 % intervals."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from compound.errors import UsageError
from compound.quantity import short
from compound.reporting.cost_figures import MARKERS, CostName, Curve, Point, accuracy_plot, draw_curves
from compound.reporting.labels import room_for, share_limits
from compound.reporting.picture import Palette, Plot, on_axes
from compound.studies import Study, Variant
from compound.studies.statistics import Mean, PairedComparison, means

SINGLE = {"width": "w", "depth": "d", "resolution": "r"}  # in the order of Figure 3's panels
REFERENCE = "compound"


def study_figures(study: Study, name: str) -> list[Plot]:
    """Every figure of the paper that the study holds the networks for."""
    return [
        replace(make(study), name=f"{name}-figure-{number}") for number, make in FIGURES.items() if holds(study, number)
    ]


def study_figure(study: Study, number: int) -> Plot:
    """One of them. Raises `UsageError` where the study has no networks for it."""
    if number not in FIGURES:
        raise UsageError(f"figure {number} is not drawn from a study; use {', '.join(map(str, FIGURES))}")
    if not holds(study, number):
        raise UsageError(f"the study of plan {study.plan!r} has no networks for figure {number}; {NEEDS[number]}")
    return FIGURES[number](study)


def holds(study: Study, number: int) -> bool:
    done = [variant for variant in study.variants if variant.runs]
    dimensions = {variant.dimension for variant in done}
    groups = {variant.group for variant in done if variant.dimension == "width"}
    if number in (1, 5, 6):
        family = dimensions <= {"baseline", REFERENCE} and len({v.macs for v in done}) > 2
        return family and (number != 6 or any(variant.latency for variant in done))
    if number == 4:
        return dimensions <= {"baseline", "width"} and len(groups) > 1
    singles = dimensions & SINGLE.keys()
    return bool(singles) and (REFERENCE in dimensions) == (number == 8) and not holds(study, 4)


def figure_3(study: Study) -> Plot:
    """A panel a dimension: how far scaling it alone goes."""
    known = means(study)
    panels = [one for one in SINGLE if any(v.dimension == one and v.runs for v in study.variants)]
    labels = {v.name: f"{SINGLE[v.dimension]} {factor(v):.3g}" for v in study.variants if v.dimension in SINGLE}

    def draw(figure: Figure, palette: Palette) -> None:
        columns = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for number, (axes, dimension) in enumerate(zip(columns, panels, strict=True)):
            start = [v for v in study.variants if v.dimension == "baseline"]
            row = start + [v for v in study.variants if v.dimension == dimension]
            one = replace(palette, series=(palette.series[number + 1],))
            draw_curves(axes, one, [Curve("", points(row, known, labels), True)], "macs")
            axes.set_title(f"{dimension} alone")
            axes.set_ylabel("" if number else "test top-1 accuracy")

    caption = f"Figure 3 on {study.data}: one dimension scaled, the others left as in {study.baseline}. {_seeds(study)}"
    return Plot("figure-3", "One dimension alone", caption, (200 * len(panels) + 60, 300), draw)


def figure_4(study: Study) -> Plot:
    """A line a setting of depth and resolution, along it the width."""
    known = means(study)
    groups = list(dict.fromkeys(v.group for v in study.variants if v.dimension == "width" and v.runs))
    labels = {v.name: f"w {v.width:.3g}" for v in study.variants}
    lines = [
        Curve(group, points([v for v in study.variants if v.group == group], known, labels), group == groups[-1])
        for group in groups
    ]
    caption = (
        f"Figure 4 on {study.data}: width scaled from {len(lines)} settings of depth d and resolution r. Width pays "
        f"more on deeper networks of larger resolution where the lines part to the right. {_seeds(study)}"
    )
    return accuracy_plot("figure-4", lines, "macs", "Width under depth and resolution", caption)


def figure_8(study: Study) -> Plot:
    """A line a way of scaling, all from the baseline."""
    known = means(study)
    start = [v for v in study.variants if v.dimension == "baseline" and v.runs]
    ways = list(dict.fromkeys(v.dimension for v in study.variants if v.runs and v.dimension != "baseline"))
    ways.sort(key=lambda way: (way != REFERENCE, list(SINGLE).index(way) if way in SINGLE else 9))
    lines = [
        Curve(way, points([*start, *(v for v in study.variants if v.dimension == way)], known, {}), way == REFERENCE)
        for way in ways
    ]
    caption = (
        f"Figure 8 on {study.data}: {study.baseline} scaled by single dimensions and by all together, counted "
        f"multiply-adds. {_seeds(study)}"
    )
    return accuracy_plot("figure-8", lines, "macs", "Ways of scaling", caption)


def family(cost: CostName, number: int) -> Callable[[Study], Plot]:
    """Accuracy against a cost, the whole family one line."""

    def figure(study: Study) -> Plot:
        done = [v for v in study.variants if v.runs and (cost != "latency" or v.latency)]
        labels = {v.name: v.name if v.dimension == "baseline" else f"{short(v.macs)} MACs" for v in done}
        line = Curve("", points(done, means(study), labels), True)
        caption = f"Figure {number} on {study.data}: {study.baseline} scaled by one rule. {_seeds(study)}"
        return accuracy_plot(f"figure-{number}", [line], cost, "A family of networks", caption)

    return figure


FIGURES: dict[int, Callable[[Study], Plot]] = {
    1: family("params", 1), 3: figure_3, 4: figure_4, 5: family("macs", 5), 6: family("latency", 6), 8: figure_8,
}  # fmt: skip
NEEDS = {
    1: "use plan family", 3: "use plan single", 4: "use plan width-on", 5: "use plan family",
    6: "use plan family with a device's table", 8: "use plan compound",
}  # fmt: skip


def seeds_plot(study: Study, name: str) -> Plot:
    """Every variant: each seed a dot, the mean with its interval, the best on top."""
    known = means(study)
    done = sorted((v for v in study.variants if v.runs), key=lambda v: -known[v.name].mean)

    def draw(axes: Axes, palette: Palette) -> None:
        for place, variant in enumerate(done):
            colour = palette.accent if variant.dimension == REFERENCE else palette.quiet
            found, each = known[variant.name], list(variant.top1().values())
            axes.plot(each, [place + 0.2] * len(each), "o", color=colour, ms=3.5, alpha=0.45, mew=0)
            _bar(axes, found, place - 0.08, colour)
        _names(axes, [variant.name for variant in done])
        each = [value for variant in done for value in variant.top1().values()]
        axes.set_xlim(share_limits(each, [(known[v.name].low, known[v.name].high) for v in done]))
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=1))
        axes.set_xlabel("test top-1 accuracy")

    caption = "The large dot is the mean, the bar its 95 % interval by Student's t, the small dots are single seeds."
    return Plot(f"{name}-seeds", "Every network, every seed", caption, (420, 70 + 34 * len(done)), on_axes(draw))


def differences_plot(comparisons: Sequence[PairedComparison], name: str) -> Plot:
    """Reference less other, in points of accuracy."""

    def draw(axes: Axes, palette: Palette) -> None:
        axes.axvline(0, color=palette.ink, linewidth=1)
        for place, one in enumerate(comparisons):
            d = one.difference
            points = replace(d, mean=100 * d.mean, low=100 * d.low, high=100 * d.high)
            _bar(axes, points, place, palette.accent if one.shown else palette.quiet)
        _names(axes, [f"less {one.other}" for one in comparisons])
        middles = [0.0, *(100 * one.difference.mean for one in comparisons)]
        ends = [(100 * one.difference.low, 100 * one.difference.high) for one in comparisons]
        axes.set_xlim(room_for(middles, [(0.0, 0.0), *ends]))
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:+.3g}" if value else "0"))
        axes.set_xlabel("points of accuracy more, seed by seed")

    caption = (
        f"{comparisons[0].reference} less each other network: right of the line it is better. Blue differences hold "
        "after Holm's correction, grey ones do not."
    )
    return Plot(f"{name}-differences", "Paired differences", caption, (420, 70 + 34 * len(comparisons)), on_axes(draw))


def points(variants: Sequence[Variant], known: Mapping[str, Mean], labels: Mapping[str, str]) -> list[Point]:
    """The variants that have runs, where they stand."""
    return [
        Point(
            labels.get(v.name, ""), v.macs, v.params,
            known[v.name].mean, known[v.name].low, known[v.name].high, v.latency,
        )
        for v in variants
        if v.runs
    ]  # fmt: skip


def _seeds(study: Study) -> str:
    if all(len(variant.runs) < 2 for variant in study.variants):
        return "One seed each, so no interval is known."
    return "Means over seeds with 95 % intervals of the mean."


def factor(variant: Variant) -> float:
    """What its dimension was multiplied by."""
    factors = {"depth": variant.depth, "width": variant.width, "resolution": variant.resolution_factor}
    return factors[variant.dimension]


def _bar(axes: Axes, found: Mean, place: float, colour: str) -> None:
    axes.plot((found.low, found.high), (place, place), color=colour, linewidth=2)
    axes.plot(found.mean, place, MARKERS[0], color=colour, ms=7)


def _names(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), names, parse_math=False)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(True, axis="x")
    axes.grid(False, axis="y")
