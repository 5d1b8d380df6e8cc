"""Capital letters in the fonts of a machine, split by family: grey pictures that have as much detail as their size."""

import string
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from compound.data.drawn.folder import DrawnFolder, DrawnPicture, check_asked, write
from compound.errors import UsageError

ENDINGS = (".ttf", ".otf")
FILLED = 0.7  # of the picture's side, by the larger side of the letter
LARGE = 512  # px, of the font that is measured
NOWHERE = "\U0010fffd"  # a code that no font has: what is drawn for it is the sign of a missing letter
LICENCE, LICENCE_PAGE = 13, 14  # entries of the table of names (OpenType, `name`)
LARGEST = 2**26  # bytes of a font


def draw_letters(
    fonts: Sequence[Path], out: Path, side: int = 64, *, test: float = 0.2, seed: int = 0, letters: str = ""
) -> DrawnFolder:
    """White letters on black, `side` px, a class a letter, from font files or folders of them.

    Fonts whose families begin with the same word (DejaVu Sans, DejaVu Serif, …) stand on one side of train and test.
    Fonts without letters, and pictures that another font has pixel by pixel, are left out and counted. Raises
    `UsageError` where too few are left.
    """
    check_asked(out, side, test)
    files = sorted({file for place in fonts for file in font_files(place)})
    if not files:
        raise UsageError(f"there is no font ({', '.join(ENDINGS)}) in {', '.join(map(str, fonts))}; name a folder")
    left_out: Counter[str] = Counter()
    sources: list[dict[str, Any]] = []
    pictures: list[DrawnPicture] = []
    for file in files:
        try:
            font = ImageFont.truetype(str(file), side)
            about = described(file, font)
        except (OSError, ValueError):
            left_out["unreadable fonts"] += 1
            continue
        drawn = list(of_font(file, font, side, letters or string.ascii_uppercase))
        if not drawn:
            left_out["fonts without these letters"] += 1
            continue
        pictures += drawn
        sources.append(about)
    return write(pictures, out, sources, left_out, test=test, seed=seed)


def font_files(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise UsageError(f"{place} is no font and no folder of fonts; check the path")
    return [file for file in place.rglob("*") if file.suffix.lower() in ENDINGS and file.is_file()]


def of_font(file: Path, font: ImageFont.FreeTypeFont, side: int, letters: str) -> Iterator[DrawnPicture]:
    """The letters that the font has; none where it draws a sign for missing letters, or the same for all."""
    missing = bytes(font.getmask(NOWHERE))
    masks = {letter: bytes(font.getmask(letter)) for letter in letters}
    if len(set(masks.values())) < len(letters) or missing in masks.values():
        return
    family, style = font.getname()
    for letter in letters:
        name = "-".join(str(part) for part in (family, style, file.stem) if part)
        safe = "".join(c if c.isalnum() or c in "-_" else "-" for c in name)
        yield DrawnPicture(picture(font, letter, side), letter, safe, str(family).split()[0], file.name)


def picture(font: ImageFont.FreeTypeFont, letter: str, side: int) -> Image.Image:
    """The letter in the middle, as large as `FILLED` says."""
    large = font.font_variant(size=LARGE)  # boxes are whole pixels
    left, top, right, bottom = large.getbbox(letter)
    larger = max(right - left, bottom - top, 1)
    fitted = font.font_variant(size=max(round(LARGE * FILLED * side / larger), 1))
    left, top, right, bottom = fitted.getbbox(letter)
    image = Image.new("L", (side, side))
    place = (side - left - right) / 2, (side - top - bottom) / 2
    ImageDraw.Draw(image).text(place, letter, 255, fitted)
    return image


def described(file: Path, font: ImageFont.FreeTypeFont) -> dict[str, Any]:
    """Family, style and licence as the font's own table of names says."""
    from fontTools.ttLib import TTFont

    if file.stat().st_size > LARGEST:
        raise ValueError("larger than fonts are")
    with TTFont(file, lazy=True, fontNumber=0) as table:
        names = table["name"]
        licence, page = (names.getDebugName(number) or "" for number in (LICENCE, LICENCE_PAGE))
    family, style = font.getname()
    return {
        "file": file.name,
        "name": f"{family} {style}",
        "licence": " ".join(licence.split())[:200] or page,
        "page": page,
    }
