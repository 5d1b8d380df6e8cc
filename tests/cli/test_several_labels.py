"""Several labels an image, from a CSV file to predictions, as a user goes; figures against scikit-learn."""

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image

from compound.data import open_data
from compound.evaluation import SeveralLabels
from compound.nn import load_weights

NETWORK = """
name: my-net
resolution: 16
stem: {block: conv, channels: 12}
stages:
- {block: fused-mbconv, kernel: 3, expand: 2, layers: 1, channels: 16, stride: 2}
head: {channels: 32}
inputs: {mean: [0.3], std: [0.35], margin: 0, fit: squash}
"""


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Dark noise with a bright bar, a bright column, both or neither."""
    monkeypatch.chdir(tmp_path)
    rng, rows = np.random.default_rng(0), []
    for number in range(160):
        image, labels = rng.integers(0, 60, (16, 16)), []
        for bit, name in enumerate(("bar", "column")):
            if number >> bit & 1:
                at = rng.integers(2, 14)
                image[(slice(at, at + 2), slice(None))[:: 1 - 2 * bit]] += 150
                labels.append(name)
        Image.fromarray(image.astype(np.uint8)).save(f"{number}.png")
        rows.append((f"{number}.png", "; ".join(labels), "test" if number >= 120 else "train"))
    with open("photos.csv", "w", newline="") as file:
        csv.writer(file).writerows([("path", "labels", "split"), *rows])
    (tmp_path / "my.yaml").write_text(NETWORK)


def test_a_column_of_labels_is_zeros_and_ones(photos):
    data = open_data("photos.csv", channels=1, holdout=0.2)
    assert (data.classes, data.several) == (("bar", "column"), True)
    assert (len(data.train), len(data.holdout), len(data.test)) == (92, 28, 40)  # of 120 about a fifth
    for source in (data.train, data.holdout, data.test):
        for i in range(len(source)):
            number = int(source.path(i).rpartition("/")[2].removesuffix(".png"))
            assert source.labels[i].tolist() == [number & 1, number >> 1 & 1]
    kinds = {tuple(row) for row in data.holdout.labels.tolist()}
    assert kinds >= {(0, 0), (1, 0), (0, 1)}  # images without any label are represented too


@pytest.mark.slow
def test_from_a_csv_to_predictions(cli, photos, tmp_path):
    words = ("my.yaml", "photos.csv", "--channels", 1, "--epochs", 6, "--batch", 16, "--workers", 0, "-o", "run")
    value = cli.json("train", *words)
    assert value["mean_average_precision"] > 0.9
    told = cli.json("evaluate", "run")
    assert told["mean_average_precision"] == pytest.approx(value["mean_average_precision"], abs=1e-6)
    assert set(told["per_class"]["bar"]) == {"images", "average_precision", "recall", "precision", "f1"}
    assert told["per_class"]["bar"]["images"] == 20
    assert "confusion_pairs" not in told
    assert told == cli.json("evaluate", "run", "--batch", 7)
    code, out, _ = cli("evaluate", "run")
    assert code == 0
    assert "mean average precision" in out
    assert "AP" in out
    found = cli.json("predict", "run", "123.png", "120.png", "--threshold", 0)["predictions"]
    both = [{one["name"]: one["probability"] for one in each["classes"]} for each in found]
    model, described = load_weights("run", several=True)
    assert described.several
    with torch.inference_mode():
        image = torch.from_numpy(np.asarray(Image.open("123.png")).copy())[None, None].float() / 255
        logits = model((image - 0.3) / 0.35)[0]
    assert [both[0][name] for name in described.classes] == pytest.approx(logits.sigmoid().tolist(), abs=1e-5)
    middle = (min(both[0].values()) + max(both[0].values())) / 2
    (above,) = cli.json("predict", "run", "123.png", "--threshold", middle)["predictions"]
    assert [one["name"] for one in above["classes"]] == [max(both[0], key=lambda name: both[0][name])]
    code, out, _ = cli("predict", "run", "120.png", "--threshold", 1)
    assert (code, "no class from 1 on" in out) == (0, True)
    again = cli.json("train", "my.yaml", "photos.csv", "--channels", 1, "--epochs", 1, "--batch", 16, "--workers", 0,
                     "--weights", "run", "--probe-first", "--train", "head", "-o", "again")  # fmt: skip
    assert again["mean_average_precision"] > 0.8
    assert json.loads((tmp_path / "again/evaluation.json").read_text())["threshold"] == 0.5
    for verb, said in (
        (("evaluate", "run", "--calibrate"), "--calibrate needs one label an image, and run knows several"),
        (("compare", "run", "run"), "knows several labels an image, and this takes one"),
        (("explain", "run", "1.png"), "knows several labels an image, and this takes one"),
        (("fit", "photos.csv"), "has several labels an image, and the report is made for one"),
        (("probe", "run", "photos.csv"), "knows several labels an image"),
        (("train", *words[:-1], "other", "--class-weights", "balanced"), "--class-weights are made for one"),
        (("search", "coefficients", "my.yaml", "photos.csv"), "and a search compares top-1"),
        (("predict", "run", "1.png", "--submission", "out.txt"), "--submission needs one label"),
    ):
        code, err = cli.error(*verb)
        assert code in (1, 2)
        assert said in err.splitlines()[-1], err


@pytest.mark.long
def test_figures_are_scikit_learns():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, (50, 4))
    labels[:, 2] = 0
    chances = np.clip(rng.normal(0.3 + 0.3 * labels, 0.2), 0.01, 0.99).astype(np.float32)
    result = SeveralLabels(tuple("abcd"), torch.tensor(chances), torch.tensor(labels), torch.arange(50), [])
    wanted = [metrics.average_precision_score(labels[:, k], chances[:, k]) for k in (0, 1, 3)]
    found = [result.average_precisions[k] for k in (0, 1, 3)]
    assert found == pytest.approx(wanted, abs=1e-6)
    assert result.average_precisions[2] is None
    assert result.mean_average_precision == pytest.approx(np.mean(wanted), abs=1e-6)
    assert result.loss == pytest.approx(metrics.log_loss(labels.ravel(), chances.ravel()), abs=1e-5)
    one = result.per_class()["b"]
    assert one["f1"] == pytest.approx(metrics.f1_score(labels[:, 1], chances[:, 1] >= 0.5))
    assert result.per_class()["c"]["recall"] is None
    best = chances.argmax(1)
    assert result.top(1) == pytest.approx(labels[np.arange(50), best].mean())
