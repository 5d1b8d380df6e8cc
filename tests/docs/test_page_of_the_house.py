"""The page of the house, the index of decisions and the workflows say what is there."""

import ast
import importlib.util
import re
import tomllib
import traceback
from pathlib import Path

import pytest
import yaml
from torch.optim.optimizer import register_optimizer_step_pre_hook

from compound.cli import run
from tests.data.photos import write_pictures
from tests.tiny import TINY

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def script(name: str):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_floors_and_the_index_are_current():
    make = script("make_house")
    page, index = (path.read_text(encoding="utf-8") for path in (make.HOUSE, make.DECISIONS / "index.md"))
    assert page == make.house(page), "run: python scripts/make_house.py"
    dates = make.recorded(index)
    assert index == make.decision_index(dates), "run: python scripts/make_house.py"
    assert all(re.fullmatch(r"20\d\d-\d\d-\d\d", day) for day in dates.values())


def test_the_way_to_a_step_is_short_and_exists():
    text = (ROOT / "docs" / "house.md").read_text(encoding="utf-8")
    way = re.findall(r"^\| `(compound/[^`]+)` \| (.+) \| [^|]+ \|$", text, re.MULTILINE)
    assert 10 < len(way) <= 25
    for path, symbols in way:
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        defined = {node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
        assert set(re.findall(r"`(\w+)`", symbols)) <= defined, path


def stack_of_a_step(words: list[str]) -> list[str]:
    """The package's files between a command and the first step of its optimiser, each once, the outermost first."""
    found: list[str] = []

    def look(*_: object) -> None:
        files = [Path(frame.filename) for frame in traceback.extract_stack()]
        found.extend(str(file.relative_to(ROOT)) for file in files if ROOT / "compound" in file.parents)

    hook = register_optimizer_step_pre_hook(look)
    try:
        assert run(words) == 0
    finally:
        hook.remove()
    return list(dict.fromkeys(found))


@pytest.mark.long
def test_a_step_is_reached_by_the_way_that_the_page_tells(tmp_path):
    way = re.findall(
        r"^\| `(compound/[^`]+)` \|", (ROOT / "docs" / "house.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    network = tmp_path / "tiny.yaml"
    network.write_text(TINY, encoding="utf-8")
    photos = write_pictures(tmp_path / "photos", a=12, b=12)
    words = [
        "train",
        network,
        photos,
        "--epochs",
        "1",
        "--precision",
        "fp32",
        "--workers",
        "0",
        "--out",
        tmp_path / "run",
    ]
    passed = stack_of_a_step([str(word) for word in words])
    assert len(passed) > 6
    assert passed == [file for file in way if file in passed]  # in the page's order, and none that it leaves out


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_runs_targets_that_exist(path):
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for name, job in workflow["jobs"].items():
        runs = [step["run"] for step in job["steps"] if "run" in step]
        made = {target for run in runs for target in re.findall(r"make ([\w-]+)", run)}
        assert made, f"job {name} makes nothing"
        assert made <= targets, name


def test_workflows_cover_the_lowest_python_and_name_no_registry():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    checks = yaml.safe_load((ROOT / ".github/workflows/checks.yml").read_text(encoding="utf-8"))
    pythons = checks["jobs"]["tests"]["strategy"]["matrix"]["python"]
    assert project["requires-python"] == f">={pythons[0]}"
    assert len(pythons) > 1
    assert WORKFLOWS
    assert not any("http" in path.read_text(encoding="utf-8") for path in WORKFLOWS)


def test_contributing_names_what_exists():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"\bmake ([a-z-]+)(?:`|   # )", text):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    paths = re.findall(r"\]\(([^)]+)\)", text) + re.findall(r"`((?:compound|scripts|docs|examples)/[\w/.]*\w)`", text)
    for path in [path for path in paths if "NNN" not in path]:
        assert (ROOT / path).exists(), path


def test_every_lowest_version_is_known():
    lowest = script("minimum_versions")
    assert "typer==0.20" in lowest.constraints([])
    assert "torch==2.9" in lowest.constraints(["train"])
    with pytest.raises(ValueError, match="has no lowest version"):
        lowest.lowest("numpy")


def test_no_docstring_cites_a_file_that_is_not_here():
    cited = re.compile(r"\b((?:docs|tests|benchmarks|scripts|examples|compound)/[\w./-]*\w\.(?:py|md|yaml|csv|json))\b")
    for path in (ROOT / "compound").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for found in cited.findall(text):
            assert (ROOT / found).exists(), f"{path.relative_to(ROOT)} cites {found}"
    for path in (one for room in ("compound", "tests", "benchmarks", "scripts") for one in (ROOT / room).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\b(DESIGN|TARGETS|PEERS|PAPER|STYLE)\.md\b", text), path


def test_the_version_stands_in_one_place():
    version = re.search(r'^__version__ = "(.+)"$', (ROOT / "compound/__init__.py").read_text(), re.MULTILINE)[1]
    for path in [ROOT / "pyproject.toml", *(ROOT / "compound").rglob("*.py")]:
        count = path.read_text(encoding="utf-8").count(f'"{version}"')
        assert count == (path == ROOT / "compound/__init__.py"), path
