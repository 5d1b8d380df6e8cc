"""The command as a user runs it, in this process, and real images for it."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compound.cli import main

CLASSES = ((0, "shirt"), (1, "trouser"), (9, "boot"))


class Cli:
    """Runs `compound` in this process through its entry point; captures what it prints and its exit code."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch, self.capfd = monkeypatch, capfd

    def __call__(self, *words: object) -> tuple[int, str, str]:
        self.monkeypatch.setattr(sys, "argv", ["compound", *map(str, words)])
        try:
            main()
            code: Any = 0
        except SystemExit as stop:
            code = stop.code or 0
        out, err = self.capfd.readouterr()
        return code, out, err

    def json(self, *words: object) -> dict[str, Any]:
        """The one JSON object on standard output."""
        code, out, err = self(*words, "--json")
        assert code == 0, err
        assert out.count("\n") == 1
        value = json.loads(out)
        assert isinstance(value, dict)
        return value

    def error(self, *words: object) -> tuple[int, str]:
        """Exit code and message of a failing command: nothing on standard output, no traceback."""
        code, out, err = self(*words)
        assert out == ""
        assert "Traceback" not in err
        return code, err


@pytest.fixture(scope="session")
def write_photos() -> Callable[[Path, int], Path]:
    """`write_photos(folder, count)`: a folder a class, so many real images each of three classes of the embedded set."""
    from PIL import Image  # planning is tested without torch

    from compound.data import open_data

    train = open_data("fashion6k").train

    def write(folder: Path, count: int) -> Path:
        for label, name in CLASSES:
            (folder / name).mkdir(parents=True)
            for number, index in enumerate((train.labels == label).nonzero()[0][:count]):
                Image.fromarray(train.load(int(index))[0].numpy()).save(folder / name / f"{number}.png")
        return folder

    return write


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Cli:
    return Cli(monkeypatch, capfd)
