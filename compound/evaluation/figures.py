"""The reliability diagram."""

from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from compound.evaluation.calibration import reliability
from compound.evaluation.result import BINS, Evaluation
from compound.files import ending, write_with
from compound.lettering import lettered

FORMATS = ("svg", "png", "pdf")
ACCURACY, INK = "#4a7de8", "#444444"
GAP_STYLE: dict[str, Any] = {"facecolor": "none", "edgecolor": "#e0692a", "hatch": "////", "linewidth": 0}


def reliability_diagram(result: Evaluation, title: str) -> Figure:
    """Accuracy by confidence, the gap to the diagonal, and below how many images each bin has."""
    figure = Figure(figsize=(5, 5.4), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    above.plot((0, 1), (0, 1), color=INK, linewidth=1, linestyle=(0, (4, 3)))
    for number, one in enumerate(reliability(result)):
        if one is None:
            continue
        middle, width = (number + 0.5) / BINS, 0.94 / BINS
        gap = one.confidence - one.accuracy
        above.bar(middle, one.accuracy, width, color=ACCURACY)
        above.bar(middle, gap, width, bottom=one.accuracy, **GAP_STYLE)
        below.bar(middle, one.images, width, color=INK, alpha=0.6)
    above.set(ylabel="share right", ylim=(0, 1), xlim=(0, 1))
    words = lettered(f"{title}\n{result.images:,} images, calibration error {result.calibration_error:.2%}")
    above.set_title(words.text, fontsize=11, **words.style)
    meanings = [Patch(color=ACCURACY, label="share right"), Patch(label="gap to the confidence", **GAP_STYLE)]
    above.legend(handles=meanings, loc="upper left", frameon=False)
    below.set(xlabel="confidence", ylabel="images")
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def save_figure(figure: Figure, path: Path) -> Path:
    """Write `figure` as the ending of `path` says: .svg, .png or .pdf; the same figure gives the same bytes."""
    kind = ending(path, FORMATS, "picture")
    with rc_context({"svg.hashsalt": path.stem, "svg.fonttype": "none"}):
        metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind, {})
        write_with(path, lambda temporary: figure.savefig(temporary, format=kind, dpi=144, metadata=metadata))
    return path
