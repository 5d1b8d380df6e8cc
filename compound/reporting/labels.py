"""Names beside lines, never on them, and axes that the data fill."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

SIZE = 11.0  # of letters in points
LONGEST = 14  # letters of a name that still stands at the end of its line
STEP = 1.25  # heights of letters from one name to the next
ROOM = 0.005  # of accuracy, the least that an axis shows
REACH = 1.0  # of the distance of the means, which an interval may go beyond them


def percents() -> FuncFormatter:
    """Shares as percentages with the decimals that each has: 72.5% is not written as 72%."""
    return FuncFormatter(lambda share, _: f"{100 * share:.4g}%")


class End(NamedTuple):
    """Where a line ends, in data, and what stands there."""

    y: float
    text: str
    colour: str


def name_lines(axes: Axes, ends: Sequence[End]) -> None:
    """Each name to the right of the axes, as high as its line ends; long ones in a legend below."""
    if not ends:
        return
    if max(len(end.text) for end in ends) > LONGEST:
        legend_outside(axes)
        return
    per_point = axes.figure.dpi / 72
    heights = [float(axes.transData.transform((0, end.y))[1]) / per_point for end in ends]
    for end, own, free in zip(ends, heights, spread(heights, STEP * SIZE), strict=True):
        axes.annotate(
            end.text, (1, end.y), xycoords=("axes fraction", "data"), xytext=(6, free - own - 0.35 * SIZE),
            textcoords="offset points", color=end.colour, fontsize=SIZE, parse_math=False, annotation_clip=False,
        )  # fmt: skip


def spread(places: Sequence[float], step: float) -> list[float]:
    """The same places, moved apart until neighbours are `step` from each other, and no further than that takes."""
    order = sorted(range(len(places)), key=lambda i: places[i])
    groups: list[tuple[float, list[int]]] = []  # the middle of each, and who stands there
    for index in order:
        middle, members = places[index], [index]
        while groups and middle - groups[-1][0] < step * (len(members) + len(groups[-1][1])) / 2:
            before, more = groups.pop()
            middle = (before * len(more) + middle * len(members)) / (len(more) + len(members))
            members = more + members
        groups.append((middle, members))
    found = list(places)
    for middle, members in groups:
        for place, index in enumerate(members):
            found[index] = middle + step * (place - (len(members) - 1) / 2)
    return found


def legend_outside(axes: Axes) -> None:
    """A legend above the axes, where there are no data."""
    drawn = axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2, handlelength=1.6)
    for name in drawn.get_texts():
        name.set_parse_math(False)


def room_for(means: Sequence[float], ends: Sequence[tuple[float, float]], margin: float = 0.14) -> tuple[float, float]:
    """The two ends of an axis of `means`: an interval that goes far beyond all of them is cut at the axis' end.

    With two seeds an interval is wider than everything else that is to be seen.
    """
    low, high = min(means), max(means)
    reach = max(high - low, ROOM) * REACH
    known = [end for pair in ends for end in pair if math.isfinite(end)] or [low, high]
    bottom, top = max(min(known), low - reach), min(max(known), high + reach)
    more = max(top - bottom, ROOM) * margin
    return min(bottom, low) - more, max(top, high) + more


def share_limits(means: Sequence[float], ends: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The same for shares: none is below 0 or above 1."""
    low, high = room_for(means, ends)
    return max(low, -0.005), min(high, 1.005)
