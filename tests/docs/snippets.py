"""The pages of the documentation, and what of them can be run."""

import contextlib
import io
import re
import shlex
import sys
from pathlib import Path

from compound.cli import main

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if "decisions" not in page.parts),
]


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of one language, without their fences."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def commands(block: str) -> list[tuple[str, str]]:
    """(command line, what is shown below it) of a console block."""
    parts = [part for part in re.split(r"^\$ ", block, flags=re.MULTILINE) if part]
    return [(line, shown) for line, _, shown in (part.partition("\n") for part in parts)]


def printed(line: str) -> str:
    """What a `compound …` command prints, in this process."""
    out, before = io.StringIO(), sys.argv
    sys.argv = shlex.split(line)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out), contextlib.suppress(SystemExit):
            main()
    finally:
        sys.argv = before
    return out.getvalue().strip() + "\n"


def refreshed(page: Path) -> str:
    """The page's text with what its commands print now."""
    text = page.read_text(encoding="utf-8")
    for block in blocks(page, "console"):
        text = text.replace(block, "".join(f"$ {line}\n{printed(line)}" for line, _ in commands(block)))
    return text
