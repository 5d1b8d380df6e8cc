"""`compound.make_data`: a data set drawn from fonts or icons that are installed."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from compound.errors import UsageError
from compound.mapping import nearest
from compound.verbs.given import Place

if TYPE_CHECKING:
    from compound.data.drawn import DrawnFolder

KINDS = ("letters", "emoji")
BY = {"letters": ("family",), "emoji": ("emoji", "style")}  # what stands on one side of train and test


def make_data(
    kind: str, sources: Sequence[Place], out: Place, size: int = 64, *, by: str | None = None, test: float = 0.2,
    seed: int = 0,
) -> "DrawnFolder":  # fmt: skip
    """Draw pictures that have as much detail as their size: what a larger network or resolution can gain by.

    Args:
        kind: `letters`, 26 capitals in fonts, grey; or `emoji`, Unicode groups in several styles, in colour.
        sources: font files or folders of them; folders of unpacked npm packages `@iconify-json/…`.
        out: a new folder, of train/CLASS and test/CLASS, and sources.csv with every source's licence.
        size: px of a side.
        by: what stands on one side of train and test: `family` of letters; `emoji` (default) or `style`.
        test: about which share of these are test images. seed: which.

    The same sources and arguments give the same bytes. Raises `UsageError` for what is no such source.
    """
    from compound.data.drawn import draw_emoji, draw_letters

    if kind not in KINDS:
        raise UsageError(f"there is no kind {kind!r}; {nearest(kind, KINDS, 'kinds')}")
    by = by or BY[kind][0]
    if by not in BY[kind]:
        raise UsageError(f"{kind} are not split by {by!r}; use {' or '.join(BY[kind])}")
    places, folder = [Path(one) for one in sources], Path(out)
    if kind == "letters":
        return draw_letters(places, folder, size, test=test, seed=seed)
    return draw_emoji(places, folder, size, test=test, seed=seed, by=by)
