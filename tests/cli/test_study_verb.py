"""`compound study` and `compound forecast` as a user runs them, on real images and a tiny network."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import compound
from compound import ScalingQuestion, Sharing, load_network
from compound.data import DataSpec, open_data
from compound.data.idx import IMAGES, LABELS, write_idx
from compound.execution import Execution
from compound.studies import read_study, write_study
from compound.studies.training import WholeTraining
from compound.training import RECIPES

NETWORK = """
name: my-net
resolution: 14
stem: {block: conv, channels: 8, stride: 2}
stages:
- {block: fused-mbconv, kernel: 3, expand: 2, layers: 1, channels: 8, stride: 2}
head: {channels: 16}
inputs: {mean: [0.3], std: [0.35], margin: 0}
"""
PLAN = """
rows:
- {dimension: baseline}
- {dimension: depth, depth: 2}
- {dimension: compound, rule: given, phi: 1}
"""
WORKERS = min(len(os.sched_getaffinity(0)), 2)


@pytest.fixture
def words(tmp_path, monkeypatch):
    """Network, data (real images of three classes, 120 to train and 30 to test), and a plan of three networks."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    source = open_data("fashion6k").train
    for part, first, count in (("train", 0, 40), ("t10k", 40, 10)):
        indices = [i for label in (0, 1, 9) for i in (source.labels == label).nonzero()[0][first : first + count]]
        pictures = np.stack([source.load(int(i))[0].numpy() for i in indices])
        write_idx(tmp_path / "images" / f"{IMAGES.format(part)}.gz", pictures)
        write_idx(tmp_path / "images" / f"{LABELS.format(part)}.gz", source.labels[indices].astype(np.uint8))
    (tmp_path / "my.yaml").write_text(NETWORK)
    (tmp_path / "three.yaml").write_text(PLAN)
    return ("my.yaml", "images", "--plan", "three.yaml", "--epochs", 2, "--batch", 16)


def start(*words):
    """The command as a process group of its own."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "compound", "study", *map(str, words)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, start_new_session=True)


@pytest.mark.slow
def test_a_killed_study_goes_on_and_grows(cli, words, tmp_path):
    out = tmp_path / "out"
    process = start(*words, "--seeds", 2, "--workers", WORKERS, "-o", "out")
    while not (out / "study.json").exists() or not sum(len(v.runs) for v in read_study(out).variants):
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = read_study(out)  # a part of a study is a study
    assert 1 <= sum(len(v.runs) for v in before.variants) < 6
    value = cli.json("study", *words, "--seeds", 2, "--workers", WORKERS, "-o", "out")
    assert (value["runs"], value["seeds"], value["failed"]) == (6, 2, [])
    study = read_study(out)
    assert [[run.seed for run in v.runs] for v in study.variants] == [[0, 1]] * 3
    for then, now in zip(before.variants, study.variants, strict=True):  # nothing was trained twice
        assert set(then.runs) <= set(now.runs)
    # What was interrupted, and what shared the machine, is what an undisturbed training in this process gives.
    recipe = replace(RECIPES["small"], epochs=2, batch=16, precision="fp32")
    trainer = WholeTraining(DataSpec("images"), recipe, tmp_path / "alone", Execution(threads=1))
    alone = trainer(study.variants[1], load_network(out / study.variants[1].network), 1, lambda step, value: None)
    assert replace(alone, seconds=0) == replace(study.variants[1].runs[1], seconds=0)
    assert not list(out.glob("runs/*/checkpoints"))
    rows = list(csv.DictReader((out / "variants.csv").read_text(encoding="utf-8").splitlines()))
    assert [float(row["top1"]) for row in rows] == [v["top1"] for v in value["variants"]]
    assert value["comparisons"][0]["difference"] == pytest.approx(
        value["variants"][2]["top1"] - value["variants"][1]["top1"]
    )
    assert value["verdict"][0].startswith(f"{study.variants[2].name} ")
    # One seed more; then another recipe, which is another study.
    more = cli.json("study", *words, "--seeds", 3, "--workers", 1, "-o", "out")
    assert (more["runs"], more["seeds"]) == (9, 3)
    asked = ScalingQuestion("three.yaml", seeds=3)
    named = replace(RECIPES["small"], epochs=2, batch=16)
    same = compound.study("my.yaml", "images", named, "out", asked=asked, sharing=Sharing(workers=1))
    assert json.loads(json.dumps(same.to_json())) == more
    assert {run for v in study.variants for run in v.runs} < {run for v in read_study(out).variants for run in v.runs}
    code, err = cli.error("study", *words, "--rate", 0.1, "-o", "out")
    assert code == 2
    assert "holds another search 'three study of my-net': settings recipe rate is" in err


@pytest.mark.long
def test_the_cost_is_told_before(cli, words, tmp_path):
    value = cli.json("study", *words, "--seeds", 4, "--workers", 1, "--estimate")
    assert value["runs"] == 12
    assert value["seconds"] == pytest.approx(4 * sum(v["seconds_a_run"] for v in value["variants"]), abs=3)
    images, macs = 114, sum(v["macs"] for v in value["variants"])  # a twentieth of 120 is held out
    assert value["macs"] == pytest.approx(3 * 2 * 4 * images * macs)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--workers", 64, "--threads", 64), "64 workers of 64 threads need 4096 cores"),
        (("--rate", "auto"), "leaves rate to a measurement"),
        (("--plan", "compoud"), "there is no plan 'compoud'; did you mean 'compound'?"),
        (("--ratio", 1), "ratio 1 compares nothing"),
        (("--seeds", 5000), "1<=x<=1000"),
    ],
)
def test_what_cannot_be_studied_is_said(cli, words, options, said, tmp_path):
    code, err = cli.error("study", *words, *options)
    assert code == 2
    assert said in err
    assert not (tmp_path / "runs").exists()


@pytest.mark.long
def test_a_forecast_of_a_family(cli, words, tmp_path):
    """Results that follow a law, in the file of a study that was laid out but not trained."""
    from compound.studies.carry import blank
    from compound.studies.plan import find_plan
    from compound.studies.result import SeedRun
    from compound.studies.variants import Layout

    layout = Layout(find_plan("family"), load_network("my.yaml").with_(classes=3, channels=1))
    study = blank(layout, "photos", {}, {}, "")
    made = []
    for variant in study.variants:
        correct = round(100_000 * (1 - 0.05 - 0.1 * (variant.macs / 1e5) ** -0.4))
        made.append(replace(variant, runs=(SeedRun(0, correct / 100_000, correct, 100_000, 0.1, 1.0),)))
    (tmp_path / "s" / "networks").mkdir(parents=True)
    write_study(replace(study, variants=tuple(made)), tmp_path / "s")
    base = next(v for v in made if v.dimension == "baseline")
    (tmp_path / "s" / base.network).write_text(NETWORK)
    value = cli.json("forecast", "s", "--phi", 4, "--macs", "1G")
    macs = cli.json("scale", "my.yaml", "--phi", 4, "--classes", 3, "--channels", 1)["macs"]
    of_phi, of_macs = value["forecasts"]
    found = compound.forecast("s", [4], [1e9]).to_json()
    assert {name: found[name] for name in ("law", "points", "held_out")} == {
        name: value[name] for name in ("law", "points", "held_out")
    }
    assert [one | {"of": ""} for one in found["forecasts"]] == [one | {"of": ""} for one in value["forecasts"]]
    assert (of_phi["macs"], of_macs["macs"]) == (macs, 1e9)
    assert of_phi["top1"] == pytest.approx(0.95 - 0.1 * (macs / 1e5) ** -0.4, abs=1e-3)
    assert of_phi["low"] <= of_phi["top1"] <= of_phi["high"]
    assert value["held_out"]["forecast"] == pytest.approx(value["held_out"]["top1"], abs=1e-3)
    code, out, _ = cli("forecast", "s", "--macs", "1G")
    assert code == 0
    assert "had " in out
    assert cli.error("forecast", "s")[1].startswith("error: nothing to forecast")
    assert json.loads((tmp_path / "s" / "study.json").read_text())["format"] == 1
