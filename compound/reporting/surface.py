"""The picture of a coefficient search: where accuracy lies over β and γ, and how sure each candidate is."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from compound.files import write_bytes
from compound.reporting.picture import Palette, Plot

Point = tuple[float, float, float, float, float, float]  # α, β, γ, accuracy, the two ends of its interval


def surface_plot(points: Sequence[Point], name: str = "surface", title: str = "") -> Plot:
    """The candidates, the best first."""

    def draw(figure: Figure, palette: Palette) -> None:
        left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontsize=11)
        _surface(figure, left, palette, points)
        _ranking(right, palette, points)

    return Plot(name, "Candidates", "", (720, 331), draw)


def write_surface(points: Sequence[Point], title: str, folder: Path) -> list[Path]:
    """surface.svg and surface.png; the same bytes every time."""
    made = surface_plot(points, title=title).files()
    return [write_bytes(folder / f"surface.{kind}", data) for kind, data in made.items()]


def _surface(figure: Figure, axes: Axes, palette: Palette, points: Sequence[Point]) -> None:
    """Each candidate at its β and γ, coloured by accuracy; α, which the cost then leaves, is written beside it."""
    alpha, beta, gamma, accuracy, _, _ = zip(*points, strict=True)
    axes.grid(True, axis="both")
    drawn = axes.scatter(beta, gamma, c=accuracy, cmap="viridis", s=110, zorder=3)
    axes.scatter(beta[:1], gamma[:1], s=260, facecolors="none", edgecolors=palette.accent, linewidths=2, zorder=4)
    for a, b, c in zip(alpha, beta, gamma, strict=True):
        axes.annotate(f"{a:.4g}", (b, c), xytext=(8, 5), textcoords="offset points", fontsize=9)
    axes.margins(0.12)
    axes.set_xlabel("β (width); beside each point its α (depth)")
    axes.set_ylabel("γ (resolution)")
    bar = figure.colorbar(drawn, ax=axes, format=PercentFormatter(1, decimals=1), pad=0.02)
    bar.outline.set_visible(False)
    bar.set_label("held-out accuracy")


def _ranking(axes: Axes, palette: Palette, points: Sequence[Point]) -> None:
    """Accuracy with its 95 % interval, the best on top; whoever reaches its lower end cannot be told from it."""
    places = range(len(points))
    for place, (_, _, _, accuracy, low, high) in zip(places, points, strict=True):
        colour = palette.accent if place == 0 else palette.quiet
        axes.plot((low, high), (place, place), color=colour, linewidth=1.5)
        axes.plot(accuracy, place, "o", color=colour)
    axes.axvline(points[0][4], color=palette.accent, linewidth=0.8, linestyle=(0, (2, 3)))
    axes.set_yticks(places, [f"{a:.4g}, {b:.4g}, {c:.4g}" for a, b, c, *_ in points], fontsize=8)
    axes.invert_yaxis()
    axes.grid(True, axis="x")
    axes.grid(False, axis="y")
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    axes.set_xlabel("held-out accuracy with its 95 % interval")
    axes.set_title("α, β, γ", loc="left", fontsize=9)
