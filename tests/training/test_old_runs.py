"""Runs and weights from before a network knew its classes and channels: `old-run` holds two, and their images.

`done` was trained for two epochs on pictures.npz (three classes, grey). `stopped` is the same training, stopped in its
second epoch. Their network.yaml and the metadata of their weights say neither classes nor channels.
"""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from compound.data import open_data
from compound.errors import UsageError
from compound.evaluation import evaluate
from compound.execution import Execution
from compound.nn import load_model, load_weights, save_weights
from compound.training import open_run, start_run, train
from compound.verbs.given import find_network

OLD = Path(__file__).parent / "old-run"
CLASSES = ("bars", "columns", "dots")


@pytest.fixture
def old(tmp_path, monkeypatch):
    shutil.copytree(OLD, tmp_path / "old")
    monkeypatch.chdir(tmp_path / "old")
    return tmp_path / "old"


def goes_on(name, **fields):
    run, data = open_run(name), open_data("pictures.npz")
    return start_run(run.network.with_(**fields), data, run.recipe, name, seed=3, resume=True), data


def test_an_old_run_knows_what_its_network_is_for(old):
    assert "classes" not in Path("done/network.yaml").read_text()
    for network in (open_run("done").network, find_network("done"), load_weights("done")[1].network):
        assert (network.classes, network.channels) == (3, 1)
    assert find_network("done", classes=7).classes == 7


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("    test: 24", "    test: ../../etc/passwd", "its fields hold other values"),
        ("    train: 48", "    uraio: 48", "it has no 'train'"),
        ("  - bars\n  - columns\n  - dots\n", "    bars: columns\n", "its fields hold other values"),
        ("  name: pictures\n", "", "it has no 'name'"),
        ("\nseed: 3", "\nseed: {a: 1}", "its fields hold other values"),
    ],
)
def test_fields_of_a_run_that_are_none_are_damage(old, right, wrong, said):
    file = Path("done/run.yaml")
    text = file.read_text()
    assert right in text
    file.write_text(text.replace(right, wrong))
    with pytest.raises(UsageError, match=f"run.yaml is damaged: {said}"):
        open_run("done")


def test_a_run_whose_network_was_edited_says_so(old):
    file = Path("stopped/network.yaml")
    file.write_text(re.sub(r"head:.*", "head: {channels: 24}", file.read_text()))
    run, data = goes_on("stopped")
    with pytest.raises(
        UsageError, match=r"last.ckpt holds other weights than the network of .*stopped/network.yaml has"
    ):
        train(run, data, execution=Execution("cpu"), quiet=True)


def test_old_weights_evaluate_as_they_did(old, tmp_path):
    model, weights = load_model("done/model.safetensors")
    assert (weights.classes, weights.channels) == (CLASSES, 1)
    result = evaluate(model, open_data("pictures.npz").test, weights.classes)
    found = result.summary()
    said = json.loads(Path("done/evaluation.json").read_text())
    assert result.confusion().tolist() == said["confusion"]
    assert found["loss"] == pytest.approx(said["loss"], abs=1e-5)
    again = load_model(save_weights(model, tmp_path / "new.safetensors", weights.classes))[1]
    assert again == weights


@pytest.mark.parametrize("fields", [{}, {"classes": 1000, "channels": 3}], ids=["as it is", "from the zoo"])
def test_an_old_run_goes_on_to_the_same_end(old, fields):
    run, data = goes_on("stopped", **fields)
    run, result = train(run, data, execution=Execution("cpu"), quiet=True)
    assert run.state == "done"
    assert (
        Path("stopped/metrics.csv").read_text().splitlines()[:2]
        == Path("done/metrics.csv").read_text().splitlines()[:2]
    )
    ours, theirs = load_file("stopped/model.safetensors"), load_file("done/model.safetensors")
    for name, tensor in theirs.items():
        torch.testing.assert_close(ours[name], tensor, rtol=1e-3, atol=1e-4)
    assert result.top(1) == json.loads(Path("done/evaluation.json").read_text())["top1"]


def test_a_finished_old_run_and_a_changed_one_say_what_they_said(old):
    run, data = goes_on("done")
    with pytest.raises(UsageError, match="done"):
        train(run, data, quiet=True, final=True)
    with pytest.raises(UsageError, match=r"network.resolution: 12 → 16; resume"):
        goes_on("stopped", resolution=16)
    Path("done/run.yaml").write_text(Path("done/run.yaml").read_text().replace("channels: 1", "channels: none"))
    with pytest.raises(UsageError, match=r"done/run.yaml is damaged"):
        open_run("done")
