"""Makes docs/images/transfer-time.svg: what pretrained weights are worth at equal time, from benchmarks/inherit.py.

    python scripts/make_transfer_figure.py

Reads benchmarks/results/inherit.json.
"""

import json
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from compound.files import write_bytes
from compound.reporting.picture import Palette, Plot, on_axes

ROOT = Path(__file__).parents[1]
LABELS = {
    "lite0_pretrained": "EfficientNet-Lite0 at 64 px, ImageNet's weights",
    "mini_scratch": "efficientnet-mini at 28 px, from nothing",
    "lite0_scratch": "EfficientNet-Lite0 at 64 px, from nothing",
}


def figure() -> Plot:
    """Test accuracy by seconds of training, the probe included; every point is a training of its own."""
    found = json.loads((ROOT / "benchmarks" / "results" / "inherit.json").read_text(encoding="utf-8"))["fashion"]

    def draw(axes: Axes, palette: Palette) -> None:
        for (way, label), colour in zip(LABELS.items(), (palette.accent, *palette.series[1:]), strict=False):
            points = sorted((point["seconds"], point["top1"]) for point in found[way])
            axes.plot(*zip(*points, strict=True), color=colour, marker="o", label=label)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_xlabel("seconds of training")
        axes.set_ylabel("test top-1 accuracy")
        axes.legend(loc="lower right")

    return Plot("transfer-time", "", "", (560, 320), on_axes(draw))


if __name__ == "__main__":
    plot = figure()
    write_bytes(ROOT / "docs" / "images" / f"{plot.name}.svg", plot.files()["svg"])
