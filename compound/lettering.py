"""Names as people write them, in pictures: plain text, in fonts of this machine that have their letters."""

import io
import logging
import warnings
from functools import cache
from typing import Any, NamedTuple

FIRST = "DejaVu Sans"  # comes with matplotlib
INVISIBLE = ("\u200d", "\ufe0e", "\ufe0f")  # they join emoji or choose their style, and have no shape


class Words(NamedTuple):
    """Text that can be drawn, and the fonts to draw it with, tried in this order for each letter."""

    text: str
    families: list[str]

    @property
    def style(self) -> dict[str, Any]:
        """For any text of matplotlib: a name such as `$5 bill` is no formula."""
        return {"fontfamily": self.families, "parse_math": False}


def lettered(text: str) -> Words:
    """`text` with its fonts; a letter that no font has is written as its number, U+732B."""
    text = "".join(
        letter if letter.isprintable() or letter == "\n" else " " for letter in text if letter not in INVISIBLE
    )
    families, missing = [FIRST], set[str]()
    for letter in dict.fromkeys(text):
        if letter != "\n" and ord(letter) not in _letters(FIRST):
            family = _family_of(ord(letter))
            if family is None:
                missing.add(letter)
            elif family not in families:
                families.append(family)
    shown = [f"U+{ord(letter):04X}" if letter in missing else letter for letter in text]
    return Words("".join(shown), families)


@cache
def _family_of(letter: int) -> str | None:
    """A font on this machine that has the letter and can be drawn."""
    from matplotlib.font_manager import fontManager

    return next(
        (name for name in sorted({font.name for font in fontManager.ttflist}) if letter in _letters(name)), None
    )


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
