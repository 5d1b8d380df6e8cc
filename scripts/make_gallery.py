"""Makes docs/gallery.md: what reports look like, each from commands that a reader can repeat.

    python scripts/make_gallery.py          # the page alone, with the pictures that are there
    python scripts/make_gallery.py FOLDER   # runs the commands in FOLDER first, and takes the pictures; needs Chromium

A picture is the top of a page as a browser shows it. What FOLDER has already is not made again.
"""

import shlex
import subprocess
import sys
import tempfile
import time
from base64 import b64decode
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]

from compound.files import write_text  # noqa: E402

PAGE, PICTURES = ROOT / "docs" / "gallery.md", ROOT / "docs" / "images" / "gallery"
WIDE, NARROW = 1100, 390  # px of a window
SHOWN = 0.5  # of these px in a picture


@dataclass(frozen=True)
class Shown:
    """A page and what makes it; `top` and `height` of the piece shown, in px of a window `width` wide."""

    name: str
    title: str
    about: str
    commands: tuple[str, ...]
    page: str
    top: int = 0
    height: int = 1500
    width: int = WIDE
    dark: bool = False


RUN = "compound fit fashion6k --minutes 1 --out runs/run"
SMALL = "compound fit fashion6k --macs 3M --minutes 0.5 --out runs/small"
STUDY = "compound study efficientnet-mini fashion6k --plan compound --ratio 2 --seeds 2 --epochs 1 --out runs/ways"
SEARCH = (
    "compound search coefficients efficientnet-mini fashion6k --trials 6 --seeds 1 --epochs 1 --out runs/coefficients"
)
GALLERY = (
    Shown("run", "A run", "`fit` writes it: how good the network is and what to trust, the plan, the network to scale.",
          (RUN,), "runs/run/report.html"),
    Shown("run-dark", "Further down, in the dark", "The data, the curves, which classes are confused, the mistakes.",
          (RUN,), "runs/run/report.html", top=2350, height=2200, dark=True),
    Shown("run-phone", "On a phone", "The same page.", (RUN,), "runs/run/report.html", height=1500, width=NARROW),
    Shown("runs", "Several runs", "Side by side, with intervals and what they cost.",
          (RUN, SMALL, "compound report runs/run runs/small -o runs.html"), "runs.html"),
    Shown("study", "A study", "Does a way of scaling beat the others? Intervals, and what two seeds do not show.",
          (STUDY, "compound report runs/ways -o study.html"), "study.html"),
    Shown("search", "A search", "STEP 1 of the paper: candidates for α, β, γ by what they reached.",
          (SEARCH, "compound report runs/coefficients -o search.html"), "search.html"),
    Shown("figure-5", "The paper's figures", "Printed accuracy against counted cost; `1`, `2` and `8` are others.",
          ("compound figure 5",), "figure-5.svg", height=640, width=900),
)  # fmt: skip
HEAD = """# Gallery

What `compound` shows, as a browser has it. Every page is one file that needs no network, in light and dark, on a screen
or a phone. All of it is from small trainings on the images in the package: the commands make each again in minutes, and
`scripts/make_gallery.py` takes the pictures.
"""


def text() -> str:
    """The page."""
    parts = [HEAD]
    for one in GALLERY:
        lines = "\n".join(one.commands)
        picture = f"![{one.title}](images/gallery/{one.name}.webp)"
        parts.append(f"\n## {one.title}\n\n{one.about}\n\n{picture}\n\n```sh\n{lines}\n```\n")
    return "".join(parts)


def make(folder: Path) -> None:
    """The pages of the gallery in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for one in GALLERY:
        for line in one.commands:
            words = shlex.split(line)[1:]
            made = words[words.index("--out") + 1] if "--out" in words else one.page
            if not (folder / made).exists():
                print(line)
                subprocess.run([sys.executable, "-m", "compound", *words], cwd=folder, check=True)


def take(folder: Path) -> None:
    """The pictures of the pages in `folder`."""
    from tests.serve.browser import browsing

    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as profile, browsing(Path(profile), "--hide-scrollbars") as browser:
        for one in GALLERY:
            browser.resize(one.width, 900, one.dark)
            browser.open((folder / one.page).resolve().as_uri())
            time.sleep(0.5)  # fonts and pictures within the page
            clip = {"x": 0, "y": one.top, "width": one.width, "height": one.height, "scale": 1}
            shot = browser._send("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)["data"]
            assert not browser.complaints(), one.page
            picture = Image.open(BytesIO(b64decode(shot))).convert("RGB")
            size = round(picture.width * SHOWN), round(picture.height * SHOWN)
            shown = picture.resize(size, Image.Resampling.LANCZOS) if one.width == WIDE else picture
            shown.save(PICTURES / f"{one.name}.webp", quality=72, method=6)


def main() -> None:
    for folder in map(Path, sys.argv[1:]):
        make(folder)
        take(folder)
    write_text(PAGE, text())


if __name__ == "__main__":
    main()
