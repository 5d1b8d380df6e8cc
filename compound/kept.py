"""Answers of short measurements on this machine, kept so that the same question is asked once."""

import os
from contextlib import suppress
from pathlib import Path

from compound.documents import read_json
from compound.errors import CompoundError
from compound.files import write_json

KEPT = 1000  # answers; the oldest go


def choices_file() -> Path:
    """Where answers are kept: in the folder COMPOUND_CACHE, by default the user's cache."""
    own = os.environ.get("COMPOUND_CACHE")
    folder = Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "compound"
    return folder / "choices.json"


def kept() -> dict[str, str]:
    """The answers by question; none where the file is missing or damaged, for they can be measured again."""
    with suppress(CompoundError, OSError, RuntimeError):  # the last of a user without a home
        found = read_json(choices_file(), "delete it")
        if isinstance(found, dict):
            return found
    return {}


def keep(asked: str, answer: str) -> None:
    """Remember an answer. Where nothing can be written, it is measured again."""
    answers = kept() | {asked: answer}
    with suppress(CompoundError, OSError, RuntimeError):
        choices_file().parent.mkdir(parents=True, exist_ok=True)
        write_json(choices_file(), dict(list(answers.items())[-KEPT:]))
