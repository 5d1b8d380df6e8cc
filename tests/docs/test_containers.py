"""What the container files copy is there, and what they start is a command with these options."""

import json
import re
from pathlib import Path

import pytest
from cli.conftest import Cli

from compound.serve.server import SHORTEST_TOKEN

ROOT = Path(__file__).parents[2]
FILES = ("Containerfile", "Containerfile.train")


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Cli:
    return Cli(monkeypatch, capfd)


@pytest.mark.parametrize("name", FILES)
def test_what_is_copied_is_there_and_let_in(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    let_in = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for line in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE):
        for file in line.split():
            assert (ROOT / file).exists(), file
            assert f"!{file}" in let_in
    assert "[serve]" in text or "[all]" in text


def test_the_server_starts_on_a_model_and_asks_for_a_token(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "Containerfile").read_text(encoding="utf-8")
    entry, command = (
        json.loads(re.findall(rf"^{word} (.*)$", text, re.MULTILINE)[-1]) for word in ("ENTRYPOINT", "CMD")
    )
    assert entry[0] == "compound"
    assert command == ["/model"]
    monkeypatch.delenv("COMPOUND_TOKEN", raising=False)
    code, _, said = cli(*entry[1:], *command)
    assert code == 2
    assert "token" in said


def test_tokens_that_are_shown_are_made_or_long_enough() -> None:
    """A server refuses short ones, and a page that shows one is pasted as it is."""
    pages = [ROOT / "Containerfile", ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    found = [
        token
        for page in pages
        for token in re.findall(r"(?:COMPOUND_TOKEN=|Bearer |--token )([^\s\"`]+)", page.read_text(encoding="utf-8"))
    ]
    assert len(found) >= 3
    assert all(token.startswith("$") or len(token) >= SHORTEST_TOKEN for token in found), found
