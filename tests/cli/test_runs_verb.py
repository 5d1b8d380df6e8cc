"""`compound runs`: what a folder of runs says at a glance, whatever state they are in."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

import compound
from compound import RECIPES, parse_network
from compound.training import Run
from tests.tiny import TINY

NETWORK = parse_network(TINY)
DATA = {"name": "photos", "classes": ["boot", "shirt"], "channels": 1, "where": "photos"}
HOLD = "import sys; from pathlib import Path; from compound.files import locked\n"
HOLD += "with locked(Path(sys.argv[1]), 'it'): print('held', flush=True); sys.stdin.read()"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = replace(RECIPES["small"], epochs=4)
    for name, state in (("done", "done"), ("early", "training"), ("begun", "created")):
        run = Run(tmp_path / "runs" / name, NETWORK, recipe, DATA, 0, state).save()
        run.checkpoints.mkdir()
    runs = tmp_path / "runs"
    (runs / "done" / "metrics.csv").write_text("epoch\n1\n2\n3\n4\n")
    (runs / "done" / "evaluation.json").write_text(
        json.dumps({"top1": 0.75, "top1_interval": [0.5, 0.9], "images": 28})
    )
    (runs / "early" / "metrics.csv").write_text("epoch\n1\n")
    (runs / "early" / "holdout.json").write_text(json.dumps({"top1": 0.5, "images": 1234}))
    (runs / "other").mkdir()
    return runs


def test_every_run_is_a_line_with_accuracy_cost_date_and_state(cli, folder):
    code, out, _ = cli("runs")
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert code == 0
    assert " 75.0% (28) " in lines["runs/done"]
    assert " 4/4 " in lines["runs/done"]
    assert lines["runs/done"].endswith("finished")
    assert "50.0% (1,234 held out)" in lines["runs/early"]
    assert lines["runs/early"].endswith("stopped")
    assert " 0/4 " in lines["runs/begun"]
    assert "runs/other" not in lines
    assert out.endswith("compound resume RUN\n")


def test_the_same_in_python_and_as_json(cli, folder):
    found = {run.path.name: run for run in compound.runs()}
    assert [one["run"] for one in cli.json("runs", folder)["runs"]] == [str(folder / name) for name in found]
    done = found["done"]
    assert (done.state, done.part, done.judged["top1"], done.epochs) == ("finished", "test", 0.75, (4, 4))
    assert done.cost == compound.cost(NETWORK.with_(classes=2, channels=1))
    assert found["begun"].judged is None
    assert [run.path for run in compound.runs(folder / "done")] == [folder / "done"]


def test_a_run_that_a_process_holds_is_running(folder):
    lock = folder / "early" / "checkpoints" / ".lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(lock)], stdin=-1, stdout=-1) as process:
        assert process.stdout.readline() == b"held\n"
        assert {run.path.name: run.state for run in compound.runs()}["early"] == "running"
        process.stdin.close()
        process.wait()
    assert {run.path.name: run.state for run in compound.runs()}["early"] == "stopped"


@pytest.mark.parametrize("text", ["", "[]", "state: done", "{", "a: &a [*a]"])
def test_a_damaged_run_stops_no_list(cli, folder, text):
    (folder / "early" / "run.yaml").write_text(text)
    (folder / "begun" / "evaluation.json").write_text("{}")
    assert {run.path.name: run.state for run in compound.runs()} == {
        "done": "finished", "early": "damaged", "begun": "damaged",
    }  # fmt: skip
    code, out, err = cli("runs")
    assert code == 0, err
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert "early/run.yaml" in lines["runs/early"]
    assert "evaluation.json is damaged: " in lines["runs/begun"]
    assert "75.0% (28)" in lines["runs/done"]


def test_a_folder_that_is_not_there_is_said(cli, folder):
    assert cli.error("runs", "nowhere") == (
        2,
        "error: there is no folder nowhere; give the one that your runs are in\n",
    )
    assert cli("runs", folder / "other")[1] == f"no runs in {folder / 'other'}\n"
