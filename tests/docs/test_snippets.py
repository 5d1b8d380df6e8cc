"""What README and docs show is what one gets: the Python runs, commands print what stands below them."""

import os
import re
import shlex
import shutil
from functools import cache
from pkgutil import resolve_name

import pytest
import yaml
from docs.snippets import PAGES, ROOT, blocks, refreshed
from typer.main import get_command

import compound
from compound import parse_network
from compound.cli import application
from compound.mapping import from_mapping, to_mapping
from compound.training import RECIPES, Recipe
from tests.data.photos import write_pictures

README = ROOT / "README.md"


SLOW = ("docs/tutorial/5-training.md", "docs/how-to/own-baseline.md")  # an epoch of training; a whole network read


def pages(language: str, slow: tuple[str, ...] = ()) -> list[object]:
    """The pages that have blocks of a language, named by their path."""
    paths = {str(page.relative_to(ROOT)): page for page in PAGES if blocks(page, language)}
    return [
        pytest.param(page, id=name, marks=[pytest.mark.slow] if name in slow else []) for name, page in paths.items()
    ]


@pytest.mark.long
@pytest.mark.parametrize("page", pages("python", SLOW))
def test_python_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.symlink(ROOT / "examples", tmp_path / "examples")
    names: dict[str, object] = {}
    for block in blocks(page, "python"):
        exec(compile(block, str(page), "exec"), names)


@pytest.mark.parametrize("page", pages("console"))
def test_commands_print_what_is_shown(page, monkeypatch):
    """After a change that is meant: python scripts/refresh_docs.py."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "80")
    assert page.read_text(encoding="utf-8") == refreshed(page)


@cache
def command():
    return get_command(application())


def known_options(words: list[str]) -> set[str]:
    """The options of the verb, or the verb of a verb, that a command line begins with."""
    found = command()
    for word in words:
        verbs = getattr(found, "commands", None)
        if verbs is None:
            break
        default = "networks" if words[0] == "measure" else word  # measure NETWORK is measure networks NETWORK
        assert word in verbs or default in verbs, f"there is no verb {word!r} in: compound {' '.join(words)}"
        found = verbs.get(word) or verbs[default]
    return {option for parameter in found.params for option in (*parameter.opts, *parameter.secondary_opts)}


@pytest.mark.parametrize("page", pages("sh"))
def test_shell_lines_name_verbs_and_options_that_exist(page):
    lines = re.findall(r"^(?:.* )?compound ([a-z].*?)(?: +#.*)?$", "\n".join(blocks(page, "sh")), re.MULTILINE)
    assert lines or "make" in "".join(blocks(page, "sh"))
    for line in lines:
        words = shlex.split(line)
        given = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert given <= known_options(words), line


def test_commands_of_the_readmes_tables_name_verbs_and_options_that_exist():
    text = README.read_text(encoding="utf-8")
    lines = re.findall(r"`compound ([a-z][^`]*)`", "\n".join(row for row in text.splitlines() if row.startswith("|")))
    assert len(lines) > 8
    for line in lines:
        words = shlex.split(line)
        assert {word for word in words if re.match(r"--?[a-z]", word)} <= known_options(words), line


def test_the_terms_of_training_lead_to_options_and_fields_that_exist():
    """An option belongs to the verb named in its cell, else to fit and train."""
    text = (ROOT / "docs" / "how-to" / "training.md").read_text(encoding="utf-8")
    rows = [row for row in text.splitlines() if row.startswith("| ")][2:]
    assert len(rows) > 20
    for row in rows:
        said = re.findall(r"`([^`]+)`", row)
        verbs = [shlex.split(one.partition("compound ")[2]) for one in said if "compound " in one]
        known = set().union(*map(known_options, [["train"], *verbs]))
        given = {word.partition("=")[0] for one in said for word in one.split() if word.startswith("--")}
        assert given <= known, row
    (block,) = blocks(ROOT / "docs" / "how-to" / "training.md", "yaml")
    found = yaml.safe_load(block)
    base = to_mapping(RECIPES[found.pop("base")])
    assert from_mapping(Recipe, base | found | {"name": "mine"}, "recipe").warmup_epochs == 3


@pytest.mark.slow
def test_the_readmes_call_of_fit_goes_from_photos_to_an_exported_file(tmp_path, monkeypatch, capsys):
    """On small photos and within a small budget."""
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "photos", cat=20, dog=20)
    shutil.copy(next((tmp_path / "photos").rglob("*.png")), "new-photo.jpg")
    (block,) = blocks(README, "py")
    assert len([line for line in block.splitlines() if line]) == 5
    exec(block.replace("200e6", "1e6"), {})
    assert "cat" in capsys.readouterr().out
    assert list((tmp_path / "runs").rglob("model.onnx"))


def test_the_readme_is_two_screens():
    assert len(README.read_text(encoding="utf-8").split()) <= 900


def test_the_network_of_the_examples_is_a_network():
    assert parse_network((ROOT / "examples" / "my-net.yaml").read_text(encoding="utf-8")).name == "my-net"


def test_the_map_from_the_paper_to_the_code_leads_somewhere():
    text = (ROOT / "docs" / "map.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| [^|]+ \| [^|]+ \| `([^`]+)` \| (.+) \|$", text, re.MULTILINE)
    assert len(rows) > 20
    for path, symbols in rows:
        source = (ROOT / path).read_text(encoding="utf-8")
        for symbol in re.findall(r"`(\w+)`", symbols):
            assert re.search(rf"^ *(class |def )?{symbol}\b", source, re.MULTILINE), f"{path} has no {symbol}"


@pytest.mark.long
def test_everything_that_the_python_pages_show_exists():
    for page in sorted((ROOT / "docs" / "api").glob("*.md")):
        for name in re.findall(r"^::: (\S+)$", page.read_text(encoding="utf-8"), re.MULTILINE):
            assert resolve_name(name), name


def test_every_verb_is_on_the_python_page():
    text = (ROOT / "docs" / "api" / "index.md").read_text(encoding="utf-8")
    assert set(compound.VERBS) <= {name.rpartition(".")[2] for name in re.findall(r"^::: (\S+)$", text, re.MULTILINE)}
