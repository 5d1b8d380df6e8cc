"""Names as people write them, in pictures: plain text, in fonts of this machine that have their letters."""

import io
import logging
import unicodedata
import warnings
from contextlib import suppress
from functools import cache
from typing import Any, NamedTuple

from compound.notes import note_once

FIRST = "DejaVu Sans"  # comes with matplotlib
INVISIBLE = ("\u200d", "\ufe0e", "\ufe0f")  # they join emoji or choose their style, and have no shape
# Scripts, as the names of letters in Unicode begin with them.
ASIAN = ("CJK", "HANGUL", "HIRAGANA", "KATAKANA", "BOPOMOFO", "FULLWIDTH", "HALFWIDTH", "IDEOGRAPHIC")


class Words(NamedTuple):
    """Text that can be drawn, and the fonts to draw it with, tried in this order for each letter."""

    text: str
    families: list[str]

    @property
    def style(self) -> dict[str, Any]:
        """For any text of matplotlib: a name such as `$5 bill` is no formula."""
        return {"fontfamily": self.families, "parse_math": False}


def lettered(text: str) -> Words:
    """`text` with its fonts; a letter that no font has is written as its number, U+732B, and which package has one is
    noted."""
    text = "".join(
        letter if letter.isprintable() or letter == "\n" else " " for letter in text if letter not in INVISIBLE
    )
    families, missing = [FIRST], set[str]()
    for letter in dict.fromkeys(text):
        if letter != "\n" and ord(letter) not in _letters(FIRST):
            family = _family_of(ord(letter))
            if family is None:
                missing.add(letter)
                note_once(_remedy(letter))
            elif family not in families:
                families.append(family)
    shown = [f"U+{ord(letter):04X}" if letter in missing else letter for letter in text]
    return Words("".join(shown), families)


def _remedy(letter: str) -> str:
    """Which package brings a font for the script of `letter`; the coloured fonts of emoji cannot be drawn."""
    script = unicodedata.name(letter, "OTHER").split()[0].split("-")[0]
    if script in ASIAN:
        what, package = "Chinese, Japanese or Korean letters", "fonts-noto-cjk"
    elif unicodedata.category(letter) == "So":
        what, package = "emoji or symbols", "fonts-symbola"
    else:
        what, package = f"{script.title()} letters", "fonts-noto-core"
    return (
        f"no font here has the {what} of these names, so pictures show their numbers, U+…; on Debian and "
        f"Ubuntu: apt install {package}"
    )


@cache
def _family_of(letter: int) -> str | None:
    """A font on this machine that has the letter and can be drawn."""
    from matplotlib.font_manager import fontManager

    _take_new_fonts()
    return next(
        (name for name in sorted({font.name for font in fontManager.ttflist}) if letter in _letters(name)), None
    )


@cache
def _take_new_fonts() -> None:
    """Fonts that were installed since matplotlib wrote its list of them, which it keeps for good."""
    from matplotlib.font_manager import findSystemFonts, fontManager

    known = {font.fname for font in fontManager.ttflist}
    for file in sorted(set(findSystemFonts()) - known):
        with suppress(OSError, RuntimeError, ValueError):  # a damaged one, or one of a kind that cannot be drawn
            fontManager.addfont(file)


@cache
def _letters(family: str) -> frozenset[int]:
    """The letters of a font; none where it cannot be drawn, as of one that has pictures for letters."""
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties, findfont, get_font

    told = logging.getLogger("matplotlib.font_manager")
    before, told.disabled = told.disabled, True  # a font may have no usual weight, which is nothing to tell a user
    try:
        font = get_font(findfont(FontProperties(family=family), fallback_to_default=False))
        letters = frozenset(font.get_charmap())
        figure = Figure(figsize=(1, 1))
        figure.text(0, 0, chr(max(letters)), fontfamily=[family], parse_math=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            figure.savefig(io.BytesIO(), format="png")
    except (OSError, RuntimeError, ValueError):
        return frozenset()
    finally:
        told.disabled = before
    return letters
