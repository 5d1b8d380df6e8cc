"""Text for a terminal: names and messages of strangers are shown, and tell it nothing."""

import re
import sys

# Control characters but for line ends and tabs, C1, and what turns the direction of writing: a terminal obeys them.
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
LONGEST = 4000  # characters of an error


# Classes up to which a list in the terminal has each of them, and how many it has of more.
MOST_CLASSES, OF_MORE = 1000, 20


def printable(text: str) -> str:
    """`text` with what a terminal would obey written out: ESC becomes \\x1b."""
    return OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def tell(text: str) -> None:
    """Something beside the answer, on standard error."""
    print(printable(text), file=sys.stderr)


def tell_error(text: str) -> None:
    """What went wrong, cut where somebody's value makes it endless."""
    tell(f"error: {text}" if len(text) <= LONGEST else f"error: {text[:LONGEST]}…")
