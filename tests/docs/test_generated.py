"""Pages that scripts make say what the command and the result files say now."""

import importlib.util
from pathlib import Path
from types import ModuleType

from compound.cli import VERBS

ROOT = Path(__file__).parents[2]


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_verbs_is_current_and_whole():
    text = (ROOT / "docs" / "verbs.md").read_text(encoding="utf-8")
    assert text == script("make_verbs").page(), "run: python scripts/make_verbs.py"
    for verb in VERBS:
        assert f"\n## {verb}" in text


def test_the_evidence_is_what_the_result_files_say():
    made = script("make_evidence")
    assert (ROOT / "docs" / "evidence.md").read_text(encoding="utf-8") == made.page(), (
        "run: python scripts/make_evidence.py"
    )
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text == made.readme(text)
    assert all(f"**{what}**" in text for _, what, _ in made.rows()[: made.IN_README])


def test_the_evidence_follows_the_result_files(monkeypatch):
    made = script("make_evidence")
    changed = made.result("latency")
    changed["networks"] = 61
    monkeypatch.setattr(made, "result", lambda name: changed)
    assert "61 networks" in made.latency("latency")
