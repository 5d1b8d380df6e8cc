"""Reports of several runs, searches and studies: every section is there, numbers are those of the files, files too."""

import ast
import csv
import json
import math
import statistics
from pathlib import Path

import pytest
from report.studies import write_synthetic
from report.test_run_report import MakeRun, Page

from compound import ZOO, UsageError, load_network
from compound.reporting import write_report
from compound.reporting.page import Report
from compound.reporting.search import read_search
from compound.reporting.table import Column, Table

T_975_4 = 2.7764451051977987  # Student's t, 97.5 %, 4 degrees (any table)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "page" / "report.html"


def section_names(report: Report) -> list[str]:
    return [section.name for section in report.sections]


@pytest.mark.long
def test_two_runs_side_by_side(make_run: MakeRun, out: Path) -> None:
    runs = [make_run(where="one"), make_run(where="two", network=ZOO["mobilenet-v2"])]
    report = write_report(runs, out, files=out.parent / "files")
    assert section_names(report) == ["runs", "networks", "training", "making"]
    made = Page(out)
    assert "mobilenet-v2" in made.text("runs")
    assert "55.12% to 91.34%" in made.text("runs")
    assert made.text("making").count("compound repeat") == 2
    ids = [str(given["id"]) for _, given in made.tags if "id" in given]
    assert len(ids) == len(set(ids))
    assert "<script" not in made.source
    with (out.parent / "files" / "runs.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert [float(row["test top-1"]) for row in rows] == [27 / 30, 27 / 30]
    assert r"\bottomrule" in (out.parent / "files" / "runs.tex").read_text()
    for picture in (picture for section in report.sections for picture in section.pictures):
        assert (out.parent / "files" / f"{picture.name}.png").read_bytes().startswith(b"\x89PNG")
        svg = (out.parent / "files" / f"{picture.name}.svg").read_text()
        assert "var(--" not in svg
        assert "currentColor" not in svg


@pytest.mark.long
def test_a_run_alone_keeps_its_page_and_has_files(make_run: MakeRun, out: Path) -> None:
    report = write_report([make_run()], out, files=out.parent / "files")
    assert section_names(report) == [
        "trust", "plan", "network", "data", "training", "classes", "examples", "making",
    ]  # fmt: skip
    with (out.parent / "files" / "recall.csv").open() as lines:
        found = {row["class"]: float(row["recall"]) for row in csv.DictReader(lines)}
    assert found == {"cat": 1.0, "dog": 0.9, "eel": 0.8}


@pytest.mark.long
def test_runs_of_one_network_go_by_their_folders(make_run: MakeRun, out: Path) -> None:
    write_report([make_run(where="first"), make_run(where="second")], out)
    assert "first" in Page(out).text("runs")


@pytest.mark.long
@pytest.mark.parametrize(
    ("plan", "figures"),
    [("compound", {8}), ("single", {3}), ("width-on", {4}), ("family", {1, 5})],
)
def test_a_study_has_the_figures_of_its_plan(tmp_path: Path, out: Path, plan: str, figures: set[int]) -> None:
    write_synthetic(tmp_path / "study", plan)
    report = write_report([tmp_path / "study"], out)
    names = {picture.name for section in report.sections for picture in section.pictures}
    assert {name for name in names if "figure" in name} == {f"study-figure-{number}" for number in figures}
    assert section_names(report) == ["study", "study-networks", "study-making"]
    assert f"--plan {plan}" in Page(out).text("study-making")


@pytest.mark.long
def test_means_and_intervals_of_a_study(tmp_path: Path, out: Path) -> None:
    study = write_synthetic(tmp_path / "study", "compound")
    write_report([tmp_path / "study"], out, files=out.parent / "files")
    with (out.parent / "files" / "study-variants.csv").open() as lines:
        rows = {row["network"]: row for row in csv.DictReader(lines)}
    for variant in study.variants:
        values = [run.top1 for run in variant.runs]
        half = T_975_4 * statistics.stdev(values) / math.sqrt(5)
        row = rows[variant.name]
        assert float(row["top-1"]) == pytest.approx(statistics.mean(values))
        assert float(row["low"]) == pytest.approx(statistics.mean(values) - half)
        assert int(row["MACs"]) == variant.macs
    text = Page(out).text("study")
    assert "beats the best of 3 others" in text
    assert "Paired comparisons" in text


def test_a_study_just_begun_and_one_of_one_seed(tmp_path: Path, out: Path) -> None:
    write_synthetic(tmp_path / "begun", "compound", seeds=0)
    write_report([tmp_path / "begun"], out)
    assert "No training is finished yet" in Page(out).text("study")
    write_synthetic(tmp_path / "one", "compound", seeds=1)
    write_report([tmp_path / "one"], out)
    assert "nan" not in Page(out).text("study")


def test_networks_outside_of_a_study_are_refused(tmp_path: Path, out: Path) -> None:
    write_synthetic(tmp_path / "study", "compound")
    file = tmp_path / "study" / "study.json"
    given = json.loads(file.read_text())
    given["variants"][0]["network"] = "../../etc/network.yaml"
    file.write_text(json.dumps(given))
    with pytest.raises(UsageError, match="lies outside of the study"):
        write_report([tmp_path / "study"], out)


def test_a_search_of_coefficients(tmp_path: Path, out: Path) -> None:
    search = write_coefficients(tmp_path / "search")
    asked = ["search", "coefficients", "net.yaml", "my photos", "-o", str(search), "--seeds", "2"]
    (search / "command.json").write_text(json.dumps({"arguments": asked}))
    report = write_report([search], out)
    assert section_names(report) == ["search"]
    text = Page(out).text("search")
    assert f"compound search coefficients net.yaml 'my photos' --seeds 2 --out {search}-again" in text
    assert "α 1.2, β 1.1, γ 1.15 reached 85.00% of the held-out images" in text
    assert "STEP 2" in text
    best, second = read_search(search).points()
    assert best[:4] == (1.2, 1.1, 1.15, 0.85)
    # Pooled variance of the two pairs 0.84, 0.86 and 0.79, 0.81: each 2e-4 with 1 degree; t at 2 degrees is 4.3027.
    assert best[5] - best[4] == pytest.approx(2 * 4.302652729911275 * math.sqrt(2e-4 / 2))
    assert second[3] == pytest.approx(0.8)


@pytest.mark.long
def test_a_study_and_a_run_in_one_page(make_run: MakeRun, tmp_path: Path, out: Path) -> None:
    write_synthetic(tmp_path / "study", "compound")
    report = write_report([tmp_path / "study", make_run()], out)
    assert section_names(report)[:4] == ["study", "study-networks", "study-making", "runs"]
    assert "1 study and 1 run" in Page(out).text("top")


def test_places_that_are_nothing(tmp_path: Path, out: Path) -> None:
    with pytest.raises(UsageError, match=r"is no run \(run\.yaml\), no search"):
        write_report([tmp_path], out)
    with pytest.raises(UsageError, match="there is no "):
        write_report([tmp_path / "absent"], out)
    write_synthetic(tmp_path / "study", "compound")
    with pytest.raises(UsageError, match="no run directory is given"):
        write_report([tmp_path / "study"], out, images=[tmp_path / "photo.png"])


def test_a_table_in_latex_is_escaped() -> None:
    table = Table("t", "", (Column("a_b"), Column("share", lambda value: f"{value:.0%}")), (("x & y", 0.5),))
    assert table.latex().splitlines()[2:5] == [r"a\_b & share \\", r"\midrule", r"x \& y & 50\% \\"]
    assert "x &amp; y" in table.inline()


def write_coefficients(folder: Path) -> Path:
    folder.mkdir()
    entries = []
    for number, (alpha, beta, gamma, pair) in enumerate(
        [(1.2, 1.1, 1.15, (0.84, 0.86)), (1.0, 1.4, 1.0, (0.79, 0.81))]
    ):
        factors = {"alpha": alpha, "beta": beta, "gamma": gamma}
        fields = {**factors, "resolution": 32, "cost_factor": 2.0, "params": 1000, "macs": 2000, "accuracies": pair}
        entries.append(
            {"rank": number + 1, "number": number, "state": "complete", "values": [sum(pair) / 2], "seconds": 3.0,
             "parameters": factors, "fields": fields, "error": None}
        )  # fmt: skip
    (folder / "leaderboard.json").write_text(json.dumps(entries))
    step2 = [{"phi": 0, "resolution": 28, "layers": 7, "params": 1000, "macs": 1000, "macs_factor": 1.0}]
    result = {"alpha": 1.2, "beta": 1.1, "gamma": 1.15, "accuracy": 0.85, "interval": [0.81, 0.89], "not_told_apart": 0}
    (folder / "result.json").write_text(json.dumps(result | {"step2": step2}))
    (folder / "rule.yaml").write_text(
        "rule: compound\nfound: {baseline: my-net, data: photos, target: 2x macs, phi: 1.0}"
    )
    return folder


def test_the_drawn_networks_are_those_of_the_study(tmp_path: Path, out: Path) -> None:
    study = write_synthetic(tmp_path / "study", "compound")
    write_report([tmp_path / "study"], out)
    network = load_network(tmp_path / "study" / study.variants[-1].network)
    assert f"{study.variants[-1].name} at {network.resolution} px" in Page(out).source


def imported(module: str, seen: set[str]) -> set[str]:
    """What importing `module` of this package imports: all statements outside of functions, and theirs in turn."""
    path = ROOT / Path(*module.split("."))
    file = path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__init__.py"
    if module in seen or not file.exists():
        return seen | {module}
    seen = seen | {module}
    for statement in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.ImportFrom) and statement.module:
            names = [statement.module, *(f"{statement.module}.{one.name}" for one in statement.names)]
        else:
            names = [one.name for one in statement.names] if isinstance(statement, ast.Import) else []
        for name in names:
            seen = imported(name, seen) if name.startswith("compound") else seen | {name}
    return seen


def test_a_run_is_reported_without_the_extra_of_searches() -> None:
    """`make demo` installs no Optuna."""
    needed = imported("compound.reporting.run", imported("compound.reporting", set()))
    assert {"compound.nn", "torch"} <= needed
    assert not {name for name in needed if name.partition(".")[0] == "optuna"}
    assert any(name.startswith("optuna") for name in imported("compound.trials.ranking", set()))
