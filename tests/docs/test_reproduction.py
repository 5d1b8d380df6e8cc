"""The page of what is reproduced is what its script makes, and its commands exist."""

import importlib.util
import re
from pathlib import Path

import pytest
from report.studies import write_synthetic

from compound.cli import VERBS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def script():
    spec = importlib.util.spec_from_file_location("make_reproduction", ROOT / "scripts" / "make_reproduction.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.long
def test_the_page_is_current(script):
    assert (ROOT / "docs" / "reproduction.md").read_text(encoding="utf-8") == script.page(), (
        "run: python scripts/make_reproduction.py"
    )


def test_every_table_and_figure_is_there_and_the_verbs_exist(script):
    made = script.page()
    for what in [f"Table {n}" for n in range(1, 9)] + [f"Figure {n}" for n in range(1, 9)]:
        assert f"| {what} |" in made
    for verb in re.findall(r"`compound (\w+)", made):
        assert verb in VERBS


def test_the_papers_slips_are_shown(script):
    made = script.page()
    # PAPER: in Table 3 the printed cells of ResNet-50's depth and width are exchanged; PNASNet contradicts its ratio.
    assert re.search(r"ResNet-50 depth \| multiply-adds \| 16.2B \| 14.57B \| -10.1% \| .*exchanged", made)
    assert re.search(r"PNASNet \| multiply-adds \| 23B \| 24.94B", made)


def test_a_study_is_taken_in(script, tmp_path, monkeypatch):
    study = write_synthetic(tmp_path / "made", "compound")
    (tmp_path / "made" / "study.json").rename(tmp_path / "study-mini.json")
    monkeypatch.setattr(script, "RESULTS", tmp_path)
    made = script.page()
    assert re.search(r"beats the best of 3 others.* points.*95 %.*5 seeds", made)
    assert f"`{study.command}`" in made
    assert len(re.findall(r"\| 5 \| \d\d\.\d\d% \|", made)) == len(study.variants)
