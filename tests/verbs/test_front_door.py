"""What `import compound` offers: all verbs, typed and lazy, and no torch before a verb that needs it is called."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import compound
from compound import cli
from compound.notes import Say, note, silent
from compound.verbs.given import heard

WITHOUT_TORCH = "import sys; sys.modules.update(torch=None, torchvision=None, numpy=None, pytorch_lightning=None); "


def without_torch(code: str) -> str:
    """What a process without torch prints."""
    command = [sys.executable, "-c", WITHOUT_TORCH + code]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_a_star_import_needs_no_torch_and_has_all_verbs():
    code = "from compound import *; import compound; print(*(n for n in compound.__all__ if n not in globals()))"
    assert without_torch(code) == ""


def test_planning_needs_no_torch():
    code = "import compound; print(compound.plan('resnet-50', compound.Budget(macs=2e9)).cost.macs)"
    assert without_torch(code) == "1912122940"


def test_a_name_that_is_not_there_is_said_so():
    with pytest.raises(AttributeError, match="no attribute 'plann'"):
        _ = compound.plann


@pytest.mark.parametrize("name", sorted(compound.VERBS))
def test_a_verb_is_listed_typed_and_told(name):
    verb = getattr(compound, name)
    assert name in compound.__all__
    assert verb.__module__ == compound.VERBS[name]
    assert inspect.getdoc(verb)
    parameters = inspect.signature(verb).parameters.values()
    assert all(one.annotation is not inspect.Parameter.empty for one in parameters)
    assert inspect.signature(verb).return_annotation is not inspect.Signature.empty


def test_values_are_found_when_they_are_asked_for():
    assert all(hasattr(compound, name) for name in compound.VALUES)
    assert {*compound.VALUES, *compound.VERBS} <= set(dir(compound))


def test_every_verb_and_its_module_stand_on_the_page():
    page = (Path(__file__).parents[2] / "docs" / "api" / "index.md").read_text(encoding="utf-8")
    for name, module in compound.VERBS.items():
        assert f"`{name}`" in page
        assert f"::: {module}.{name}\n" in page
    told = re.findall(r"^\| (`.*?) \|", page, re.MULTILINE)
    words = {word for cell in told for word in re.findall(r"`(\w+)", cell)}
    assert set(cli.VERBS) - {"search"} <= words


def test_what_rooms_note_is_heard_by_the_verb_that_was_called(capsys):
    @heard
    def verb(text: str, *, say: Say = silent) -> str:
        note(text)
        return text.upper()

    told: list[str] = []
    assert verb("one", say=told.append) == "ONE"
    assert verb("two") == "TWO"
    assert (told, capsys.readouterr()) == (["one"], ("", ""))
    note("nobody listens")
    assert capsys.readouterr() == ("", "nobody listens\n")


def test_a_text_in_the_place_of_a_value_is_a_sentence():
    with pytest.raises(compound.UsageError, match=r"budget '2G' is no Budget; use one such as Budget\(macs=200e6\)"):
        compound.plan("resnet-18", "2G")
    with pytest.raises(compound.UsageError, match="budget '2G' is no Budget"):
        compound.fit("fashion6k", "2G")
    with pytest.raises(compound.UsageError, match="scaling 1 is no Scaling; use one such as CompoundRule"):
        compound.scale(compound.ZOO["resnet-18"], 1)
