"""Pages that scripts make say what the command and the result files say now."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

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


def test_the_gallery_is_current_and_light():
    made = script("make_gallery")
    assert (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8") == made.text(), (
        "run: python scripts/make_gallery.py"
    )
    pictures = {path.stem: path.stat().st_size for path in made.PICTURES.iterdir()}
    assert set(pictures) == {one.name for one in made.GALLERY}
    assert sum(pictures.values()) < 300_000


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


@pytest.mark.long
def test_the_page_of_accuracy_against_cost_follows_the_tables_and_what_was_measured():
    made = script("make_front")
    text = (ROOT / "docs" / "front.md").read_text(encoding="utf-8")
    assert text == made.page(made.result()), "run: python scripts/make_front.py"
    lines = made.lines(made.result())
    assert {"efficientnet", "mobilenetv4", "convnext", "resnet", "regnet", "yolo26"} <= {line.family for line in lines}
    assert len(lines) == len(made.NETWORKS) + len(made.YOLO26)
    first = lines[0]
    one = {"weights": first.weights, "pixels": first.pixels, "milliseconds": 1234.56}
    about = {"environment": {"processor": "this", "date": "today"}, "calls": 3, "runtime": "eager"}
    changed = made.page(about | {"networks": [one]})
    assert f" | 1234.6 | `{first.weights}` |" in changed
    assert "3 calls of one image on one thread, by `eager`, on this" in changed
