"""A picture is drawn once and shown three ways: in the page's colours, as an SVG file, as a PNG file.

Inline it is transparent, its text is the page's and its colours are CSS variables, so that it suits light and dark
pages; files have the light theme's colours on white. The same numbers give the same bytes.
"""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from compound.files import ending, make_folder, write_bytes

FILES = ("svg", "png")
DPI = 200  # of PNG files
WIDE = 560  # px beyond which a plot is too fine for half the page


@dataclass(frozen=True)
class Palette:
    """Colours of one theme. `series` can be told apart by colour-blind eyes (Okabe & Ito 2008), darkened for white."""

    ink: str
    line: str
    accent: str
    second: str
    quiet: str
    series: tuple[str, ...]


# Matplotlib wants colours and CSS has the theme, so inline figures are drawn in stand-ins and then renamed.
PAGE = Palette("#010203", "#010206", "#010205", "#010204", "#010207", tuple(f"#01020{digit}" for digit in "89abcdef"))
PAPER = Palette(
    "#1b1c1e", "#d9d9d4", "#2457c5", "#b4540f", "#63666b",
    ("#2457c5", "#c2570c", "#12805c", "#a8438a", "#8a6d00", "#2b87b8", "#63666b", "#8b3a3a"),
)  # fmt: skip
VARIABLES = ("ink", "line", "accent", "second", "quiet")
THEME = {getattr(PAGE, name): "currentColor" if name == "ink" else f"var(--{name})" for name in VARIABLES} | {
    colour: f"var(--series-{number})" for number, colour in enumerate(PAGE.series)
}


class Picture(Protocol):
    """`name` is the file's and the id's, `caption` says what is to be seen; `wide` ones have a line to themselves."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def caption(self) -> str: ...
    @property
    def wide(self) -> bool: ...

    def inline(self) -> str:
        """HTML to stand in a page, safe as it is."""
        ...

    def files(self) -> dict[str, bytes]:
        """The files by suffix: `svg`, `png`."""
        ...


@dataclass(frozen=True)
class Plot:
    """A Matplotlib figure of `size` CSS px; `draw` puts it on paper in the colours it is given."""

    name: str
    title: str
    caption: str
    size: tuple[float, float]
    draw: Callable[[Figure, Palette], None]

    @property
    def wide(self) -> bool:
        return self.size[0] > WIDE

    def inline(self) -> str:
        """An SVG element: no header, date or maker, own ids, the page's font and colours."""
        svg = self._save(PAGE, "svg", transparent=True).decode()
        svg = svg[svg.index("<svg") :].replace("'DejaVu Sans'", "system-ui")
        svg = re.sub(
            r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL
        )  # that style is the page's
        svg = re.sub(r'^(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
        label = f'role="img" aria-label="{self.name.replace("-", " ")}"'
        svg = re.sub(r'^(<svg[^>]*?) height="[^"]*"', rf"\1 {label}", svg, count=1)
        svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{self.name}-", svg)
        for colour, themed in THEME.items():
            svg = svg.replace(colour, themed)
        return svg.strip()

    def files(self) -> dict[str, bytes]:
        return {"svg": self._save(PAPER, "svg"), "png": self._save(PAPER, "png")}

    def _save(self, palette: Palette, kind: str, transparent: bool = False) -> bytes:
        file = io.BytesIO()
        settings = style(palette) | {"svg.hashsalt": self.name, "svg.fonttype": "none" if transparent else "path"}
        with rc_context(settings):
            figure = Figure(figsize=(self.size[0] / 72, self.size[1] / 72), layout="constrained")
            self.draw(figure, palette)
            metadata = {"Date": None} if kind == "svg" else {"Software": None}
            figure.savefig(file, format=kind, transparent=transparent, dpi=DPI, metadata=metadata)
        return file.getvalue()


def write_picture(picture: Picture, path: Path) -> Path:
    """The picture as a file, .svg or .png as `path` says (see `FILES`)."""
    make_folder(path.parent)
    return write_bytes(path, picture.files()[ending(path, FILES, "picture")])


def style(palette: Palette) -> dict[Any, Any]:
    return {
        "font.family": "DejaVu Sans",  # only measured; the page's font is set instead
        "font.size": 12,
        "text.color": palette.ink,
        "axes.labelcolor": palette.ink,
        "axes.edgecolor": palette.line,
        "xtick.color": palette.ink,
        "ytick.color": palette.ink,
        "xtick.major.size": 0,
        "ytick.major.size": 0,
        "xtick.minor.size": 0,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.spines.left": False,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "grid.color": palette.line,
        "axes.axisbelow": True,
        "axes.titlesize": 12,
        "axes.titlelocation": "left",
        "legend.frameon": False,
        "legend.fontsize": 11,
        "lines.linewidth": 2,
        "lines.markersize": 4.5,
        "path.simplify_threshold": 0.5,
    }


def on_axes(draw: Callable[[Axes, Palette], None]) -> Callable[[Figure, Palette], None]:
    """A drawing on one pair of axes."""
    return lambda figure, palette: draw(figure.add_subplot(), palette)
