"""What the README shows is what one gets: its Python runs, its commands print what stands below them."""

import re
import shlex
from pathlib import Path

import pytest
from cli.conftest import Cli

from compound import parse_network

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def snippets(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


@pytest.fixture
def cli(monkeypatch, capfd):
    return Cli(monkeypatch, capfd)


def test_python_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    assert len(snippets("python")) == 3
    for snippet in snippets("python"):
        exec(compile(snippet, "README.md", "exec"), names)
    accuracy = float(re.search(r"([\d.]+)% of 1000 test images", capsys.readouterr().out)[1])
    assert accuracy > 40
    assert (tmp_path / "runs" / "readme" / "model.safetensors").exists()


def test_commands_print_what_is_shown(cli, monkeypatch):
    monkeypatch.chdir(ROOT)
    commands = [part for snippet in snippets("console") for part in snippet.split("$ ") if part]
    assert len(commands) == 3
    for command in commands:
        line, shown = command.split("\n", 1)
        _, out, err = cli(*shlex.split(line)[1:])
        assert (out + err).strip() == shown.strip()


def test_the_yaml_is_a_network_and_the_verbs_exist(cli):
    (text,) = snippets("yaml")
    assert text == (ROOT / "examples" / "my-net.yaml").read_text(encoding="utf-8")
    assert parse_network(text).name == "my-net"
    _, out, _ = cli("--help")
    for verb in re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE):
        assert re.search(rf"│ {verb} ", out), verb
    for block in snippets("sh"):
        for verb in re.findall(r"^compound (\w+)", block, re.MULTILINE):
            assert re.search(rf"│ {verb} ", out), verb
