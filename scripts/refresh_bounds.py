"""Writes the table of bounds into docs/security.md, from `compound.bounds`."""

import re
from pathlib import Path

from compound.bounds import BOUNDS

PAGE = Path(__file__).parent.parent / "docs" / "security.md"
PART = re.compile(r"(<!-- bounds: [^>]* -->\n).*?(<!-- /bounds -->)", re.DOTALL)


def table() -> str:
    rows = [f"| `{name}` | {value} | {what} |" for name, (value, what) in BOUNDS.items()]
    return "\n".join(["", "| Variable | By default | What it bounds |", "|---|---|---|", *rows, "", ""])


def refreshed(text: str) -> str:
    return PART.sub(lambda found: found[1] + table() + found[2], text)


if __name__ == "__main__":
    PAGE.write_text(refreshed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
