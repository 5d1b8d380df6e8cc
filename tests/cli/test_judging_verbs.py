"""evaluate, compare, predict and explain as a user runs them, on runs that were never trained."""

import csv
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageStat

from compound.data import open_data
from compound.nn import build, save_weights
from compound.notation import parse_network
from compound.training import RECIPES, open_run, start_run

NETWORK = """
name: my-net
resolution: 14
stem: {block: conv, channels: 8, stride: 2}
stages:
- {block: fused-mbconv, kernel: 3, expand: 2, layers: 1, channels: 16, stride: 2}
head: {channels: 32}
inputs: {mean: [0.3], std: [0.35], margin: 0}
"""


@pytest.fixture(scope="module")
def photos(tmp_path_factory, write_photos) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos"), 30)


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory, photos) -> tuple[Path, Path]:
    """Two networks of other weights on the same data."""
    folder, network = tmp_path_factory.mktemp("runs"), parse_network(NETWORK, "my-net")
    data = open_data(str(photos), channels=1)
    recipe = replace(RECIPES["small"], precision="fp32", epochs=1)  # nothing to measure
    paths = []
    for seed, sharp in ((1, 100), (2, 1)):
        run = start_run(network, data, recipe, folder / f"run{seed}")
        model = build(network.with_(classes=3, channels=1), seed=seed)
        with torch.no_grad():
            model.classifier.linear.weight.mul_(sharp)
        save_weights(model, run.weights, data.classes)
        paths.append(run.path)
    return paths[0], paths[1]


@pytest.fixture
def runs(two_runs, tmp_path) -> tuple[Path, Path]:
    first, second = (Path(shutil.copytree(run, tmp_path / run.name)) for run in two_runs)
    return first, second


@pytest.mark.long
def test_the_batch_changes_nothing(cli, runs):
    first, second = (cli.json("evaluate", runs[0], "--batch", size) for size in (1, 17))
    assert first == second
    assert first["images"] == 21  # about a fifth of 90
    assert set(first["per_class"]) == {"boot", "shirt", "trouser"}
    assert first["bootstrap"]["top1"][0] <= first["top1"] <= first["bootstrap"]["top1"][1]


def test_a_run_is_judged_by_the_split_it_was_trained_with(cli, two_runs, photos, tmp_path):
    """A study's run of seed 5 on the split of seed 0: the seed of the run says nothing of its images."""
    data = open_data(str(photos), channels=1)
    run = start_run(parse_network(NETWORK, "my-net"), data, open_run(two_runs[0]).recipe, tmp_path / "run", seed=5)
    shutil.copy(two_runs[0] / "model.safetensors", run.path)
    cli.json("evaluate", run.path, "--predictions", tmp_path / "told.csv")
    judged = [row["path"] for row in csv.DictReader((tmp_path / "told.csv").read_text().splitlines())]
    assert judged == [data.test.path(i) for i in range(len(data.test))]


@pytest.mark.long
def test_calibration_stays_in_the_weights(cli, runs):
    (runs[0] / "evaluation.json").write_text('{"training_seconds": 7, "loss": 99}')
    before = cli.json("evaluate", runs[0])
    calibrated = cli.json("evaluate", runs[0], "--calibrate")
    after = cli.json("evaluate", runs[0])
    assert calibrated["temperature"] > 1.1
    assert calibrated["calibration_error_before"] == pytest.approx(before["calibration_error"], abs=1e-4)
    assert after["loss"] == calibrated["loss"] < before["loss"]
    assert after["confusion_pairs"] == before["confusion_pairs"]
    told = json.loads((runs[0] / "evaluation.json").read_text())
    assert (told["training_seconds"], told["loss"]) == (7, after["loss"])
    again = cli.json("evaluate", runs[0], "--calibrate")
    total = json.loads((runs[0] / "evaluation.json").read_text())["temperature"]
    assert total == pytest.approx(calibrated["temperature"] * again["temperature"])


@pytest.mark.long
def test_when_a_photo_is_of_no_class_stays_in_the_weights(cli, runs, photos, tmp_path, monkeypatch):
    monkeypatch.setattr("compound.verbs.calibration.COUNTED", 5)
    code, err = cli.error("evaluate", runs[0], "--unknown", 0.05)
    assert (code, "takes 19 held-out images or more" in err) == (2, True)
    both = cli.json("evaluate", runs[0], "--unknown", 0.3, "--coverage", 0.7, "--predictions", tmp_path / "told.csv")
    told, sets = both["unknown"], both["sets"]
    assert sets["covered_interval"][0] <= sets["covered"] <= sets["covered_interval"][1]
    assert 1 <= sets["mean_size"] <= 3
    counted = {name: one["recall"] for name, one in both["per_class"].items() if one["images"] >= 5}
    assert sets["per_class"].keys() == counted.keys() != set()
    assert all(one["covered"] >= counted[name] - 1e-6 for name, one in sets["per_class"].items())  # the best is in it
    worse = cli.json("evaluate", runs[0], "--corruptions")["robustness"]
    assert {one["images"] for one in worse} == {both["images"]}
    predicted = cli.json("predict", runs[0], photos)["predictions"]
    assert all(one["unknown"] == (one["score"] < told["least"]) for one in predicted)
    code, out, _ = cli("predict", runs[0], photos, "--csv", tmp_path / "p.csv")
    assert (code, out.count("too low for any class")) == (0, sum(one["unknown"] for one in predicted))
    assert (tmp_path / "p.csv").read_text().startswith("path,rank,index,name,probability,score,unknown\n")
    again = cli.json("evaluate", runs[0], "--calibrate")["unknown"]  # other logits, so another threshold
    assert (again["refused"], again["least"] == told["least"]) == (0.3, False)


@pytest.mark.long
def test_files_beside_the_figures(cli, runs, tmp_path):
    told = cli.json(
        "evaluate", runs[0], "--predictions", tmp_path / "p.csv", "--reliability", tmp_path / "r.svg",
        "--resolutions", "14,20", "--recalibrate",
    )  # fmt: skip
    with (tmp_path / "p.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    right = sum(row["label"] == row["predicted"] for row in rows)
    assert right / len(rows) == pytest.approx(told["top1"])
    assert all(Path(row["path"]).parent.name == row["label"] for row in rows)
    assert "<svg" in (tmp_path / "r.svg").read_text()
    assert [one["resolution"] for one in told["resolutions"]] == [14, 20]


@pytest.mark.long
def test_several_networks_on_several_sets_are_one_table(cli, runs, photos, tmp_path):
    """Each row is what `evaluate` says of it alone: a set with some of the classes whole, of a copy what is unseen."""
    other, copied = tmp_path / "other", shutil.copytree(photos, tmp_path / "copied")
    for name in ("shirt", "boot"):
        (other / name).mkdir(parents=True)
        for number in range(6):
            Image.open(photos / name / f"{number}.png").rotate(180).save(other / name / f"{number}.png")
    pairs = [(run, place) for run in runs for place in (other, copied)]
    found = cli.json("evaluate", *runs, other, copied, "--csv", tmp_path / "table.csv")["rows"]
    assert [(row["model"], row["data"]) for row in found] == [(str(run), str(place)) for run, place in pairs]
    assert [row["images"] for row in found] == [12, 21, 12, 21]
    for row, pair in zip(found, pairs, strict=True):
        alone = cli.json("evaluate", *pair)
        assert [row["top1_low"], row["top1_high"]] == alone["top1_interval"]
        shared = ("judged", "top1", "top5", "mean_per_class", "loss", "calibration_error")
        assert [row[name] for name in shared] == [alone[name] for name in shared]
    assert found[0]["top1"] != found[2]["top1"] or found[0]["loss"] != found[2]["loss"]
    rows = list(csv.DictReader(io.StringIO((tmp_path / "table.csv").read_text())))
    assert [float(row["top1"]) for row in rows] == [row["top1"] for row in found]
    code, out, _ = cli("evaluate", *runs)  # of each its own test images
    head, *lines = out.splitlines()
    assert (code, len(lines), "95 % interval" in head) == (0, 4, True)
    assert lines[2].endswith(f"{photos.name}: the test images of the run's split")
    twice = cli.json("evaluate", runs[0], runs[0], other)["rows"]
    assert twice == [found[0], found[0]]
    code, err = cli.error("evaluate", *runs, other, "--calibrate")
    assert (code, "--calibrate is of one network on one set" in err) == (2, True)
    code, err = cli.error("evaluate", *runs, other, "--unknown", "0")
    assert (code, "--unknown is of one network on one set" in err) == (2, True)
    code, err = cli.error("evaluate", photos, *runs)
    assert (code, "the network comes first" in err) == (2, True)


@pytest.mark.long
def test_two_runs_are_compared_on_the_same_images(cli, runs):
    told = cli.json("compare", *runs)
    one, two = (cli.json("evaluate", run)["top1"] for run in runs)
    assert told["top1"] == [one, two]
    assert (told["only_second"] - told["only_first"]) / told["images"] == pytest.approx(told["difference"])
    code, out, _ = cli("compare", *runs)
    assert code == 0
    assert "McNemar's exact test: p = " in out
    itself = cli.json("compare", runs[0], runs[0])
    assert (itself["difference"], itself["p_value"]) == (0, 1)


@pytest.mark.long
def test_runs_that_saw_other_images_are_not_compared(cli, runs, photos, tmp_path):
    data = open_data(str(photos), channels=1, seed=5)
    other = start_run(parse_network(NETWORK, "my-net"), data, open_run(runs[1]).recipe, tmp_path / "other")
    shutil.copy(runs[1] / "model.safetensors", other.path)
    code, err = cli.error("compare", runs[0], other.path)
    assert code == 2
    assert "were tested on different images; name DATA that neither was trained on" in err
    told = cli.json("compare", runs[0], other.path, photos)  # by what both test with
    tests = [open_data(str(photos), seed=seed).test for seed in (0, 5)]
    first, second = ({source.path(i) for i in range(len(source))} for source in tests)
    assert told["images"] == len(first & second) > 0


def test_a_submission_of_a_folder_without_labels(cli, runs, photos, tmp_path):
    told = cli.json("predict", runs[0], photos / "boot", "--top", 1, "--submission", tmp_path / "s.txt")
    assert all(len(one["classes"]) == 1 for one in told["predictions"])
    lines = (tmp_path / "s.txt").read_text().splitlines()
    assert len(lines) == 30
    assert all(sorted(line.split()) == ["1", "2", "3"] for line in lines)
    names = sorted(path.name for path in (photos / "boot").iterdir())
    first = {Path(one["path"]).name: one["classes"][0]["index"] for one in told["predictions"]}
    assert [int(line.split()[0]) - 1 for line in lines] == [first[name] for name in names]
    code, err = cli.error("predict", runs[0], photos, "--submission", tmp_path / "t.txt")
    assert code == 2
    assert "names images by file name, and 60 share one" in err


@pytest.mark.long
def test_pictures_of_several_classes(cli, runs, photos, tmp_path):
    images = (photos / "boot" / "0.png", photos / "shirt" / "0.png")
    told = cli.json("explain", runs[0], *images, "--class", "boot", "--class", "Shirt", "-o", tmp_path / "out")
    assert told["method"] == "cam"
    assert [[c["name"] for c in one["classes"]] for one in told["pictures"]] == [["boot", "shirt"]] * 2
    assert [Path(one["picture"]).name for one in told["pictures"]] == ["0.png", "0-2.png"]
    predicted = cli.json("predict", runs[0], images[0])["predictions"][0]["classes"]
    chances = {one["name"]: one["probability"] for one in predicted}
    assert told["pictures"][0]["classes"][0]["probability"] == pytest.approx(chances["boot"], abs=1e-5)
    (tmp_path / "bad.png").write_bytes(b"")
    code, _, err = cli("explain", runs[0], tmp_path / "bad.png", images[0], "-o", tmp_path / "more")
    assert code == 1
    assert "1 of 2 images could not be read" in err
    assert (tmp_path / "more" / "0.png").is_file()


@pytest.mark.long
def test_networks_side_by_side_with_scores(cli, runs, photos, tmp_path):
    (tmp_path / "boxes.csv").write_text("path,left,top,right,bottom\n0.png,0,0,28,14\n")
    images = (photos / "boot" / "0.png", photos / "boot" / "1.png")
    words = ("explain", "--compare", *runs, *images, "--boxes", tmp_path / "boxes.csv", "-o", tmp_path / "out")
    told = cli.json(*words)
    assert Path(told["picture"]).is_file()
    first, second = told["models"]
    classes = [[c["index"] for image in one["images"] for c in image["classes"]] for one in (first, second)]
    assert classes[0] == classes[1]  # both are asked about the same class
    scores = first["images"][0]["classes"][0]
    assert scores["area"] == pytest.approx(0.5)
    assert 0 <= scores["energy"] <= 1
    assert "energy" not in first["images"][1]["classes"][0]
    assert first["scores"]["energy"] == scores["energy"]
    code, out, _ = cli(*words)
    assert code == 0
    assert "deletion: small is good" in out


@pytest.mark.long
def test_runs_side_by_side_keep_their_whole_names(cli, runs, photos, tmp_path):
    """Names of two seeds differ after their last dot; where they are the same, their folders tell them apart."""
    places = [tmp_path / name for name in ("b0.seed0", "b0.seed1", "one/run", "two/run")]
    for place in places:
        shutil.copytree(runs[0], place)
    names = []
    for pair in (places[:2], places[2:]):
        told = cli.json("explain", "--compare", *pair, photos / "boot" / "0.png", "-o", tmp_path / "out")
        names += [one["model"] for one in told["models"]]
    assert names == ["b0.seed0", "b0.seed1", *map(str, places[2:])]


@pytest.mark.parametrize("name", ["run.yaml", "run.safetensors", "run.pth", "run.onnx", "photos.mjpeg"])
def test_a_folder_is_what_it_holds_whatever_its_name_ends_in(cli, runs, photos, tmp_path, name):
    """A run, a network in it, and pictures."""
    place = tmp_path / name
    shutil.copytree(photos / "boot" if name == "photos.mjpeg" else runs[0], place)
    (place / "none.jpg").mkdir()
    if name == "photos.mjpeg":
        assert len(cli.json("predict", runs[0], place)["predictions"]) == 30
    else:
        assert len(cli.json("predict", place, photos / "boot" / "0.png")["predictions"]) == 1
        assert "name: my-net" in cli.json("show", place)["network"]


@pytest.mark.parametrize("sent", [b"", b"hello", b"\x89PNG\r\n\x1a\n"], ids=["nothing", "text", "no JPEG"])
def test_a_stream_without_a_frame_is_an_error(cli, runs, tmp_path, monkeypatch, sent):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(sent)))
    code, said = cli.error("predict", runs[0], "-", "--csv", tmp_path / "out.csv")
    assert (code, "the stream holds no JPEG image; give frames" in said) == (1, True)
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("evaluate", "RUN", "--recalibrate"), "--recalibrate belongs to --resolutions"),
        (("evaluate", "RUN", "--resolutions", "20,x"), "--resolutions '20,x' is not a list of pixels"),
        (("evaluate", "RUN", "--reliability", "r.jpg"), "end its name in .svg or .png or .pdf"),
        (("evaluate", "RUN", "--layout", "imagenet-a"), "give the folder as DATA"),
        (("evaluate", "RUN", "PHOTOS", "--layout", "imagenet-a"), "need a network of its 1,000 classes"),
        (("evaluate", "resnet18", "--weights", "a.pth", "--calibrate"), "in our own weights file"),
        (("evaluate", "RUN", "--labels", "real.json"), "--labels belongs to --layout imagenet-real"),
        (("compare", "RUN", "nowhere"), "there is no run or weights file nowhere"),
        (("predict", "RUN", "PHOTOS", "--submission", "s.json"), "ends in .txt"),
        (("predict", "RUN", "PHOTOS", "--class-numbers", "m.txt"), "belongs to --submission"),
        (("explain", "RUN"), "no image is given"),
        (("explain", "RUN", "RUN", "PHOTOS"), "add --compare"),
        (("explain", "PHOTOS", "RUN"), "the network comes first: compound explain"),
        (("explain", "--compare", "RUN", "PHOTOS"), "needs two or more runs"),
        (("explain", "RUN", "PHOTOS", "--class", "boat"), "has no class 'boat'; did you mean 'boot'?"),
        (("explain", "RUN", "PHOTOS", "--class", "top:0"), "is not top:K"),
        (("explain", "RUN", "PHOTOS", "--method", "lime"), "--method 'lime' is unknown"),
        (("explain", "RUN", "PHOTOS", "--layer", "stage2"), "my-net has no layer 'stage2'; did you mean 'stage1'"),
        (("explain", "RUN", "PHOTOS", "--boxes", "b.csv"), "cannot read b.csv"),
    ],
)
def test_bad_requests_are_one_sentence(cli, runs, photos, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    code, err = cli.error(*({"RUN": runs[0], "PHOTOS": photos}.get(word, word) for word in words))
    assert code == 2
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert said in err
    assert not list(tmp_path.glob("*.png"))


def test_a_stream_of_frames_is_predicted_like_its_files(cli, runs, tmp_path) -> None:
    """MJPEG from a file, with the same figures as the frames by themselves, and all of it as CSV."""
    paths = [tmp_path / f"{number}.jpg" for number in range(5)]
    for number, path in enumerate(paths):
        Image.effect_mandelbrot((20 + number, 30), (-2, -1.5, 1, 1.5 + number), 50).save(path)
    stream = tmp_path / "video.mjpeg"
    stream.write_bytes(b"--boundary\r\n".join(path.read_bytes() for path in paths))
    table = tmp_path / "out.csv"
    alone = cli.json("predict", runs[0], tmp_path / "?.jpg")["predictions"]
    framed = cli.json("predict", runs[0], stream, "--batch", 2, "--csv", table)["predictions"]
    assert [one["classes"] for one in framed] == [one["classes"] for one in alone]
    assert [one["path"] for one in framed] == [f"frame {number}" for number in range(5)]
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    told = [(one["path"], each["name"], each["probability"]) for one in framed for each in one["classes"]]
    assert [(row["path"], row["name"], float(row["probability"])) for row in rows] == told
    code, said = cli.error("predict", runs[0], stream, paths[0])
    assert (code, "predicted alone" in said) == (2, True)


@pytest.mark.long
def test_sets_that_hold_the_right_class_as_often_as_asked(cli, runs, photos, tmp_path):
    code, err = cli.error("predict", runs[0], photos / "boot", "--coverage", 0.9)
    assert (code, "takes 9 held-out images or more; there are" in err) == (2, True)  # a twentieth of 90 is held out
    often, seldom = (cli.json("predict", runs[0], photos / "boot", "--coverage", share) for share in (0.7, 0.3))
    for wide, narrow in zip(often["predictions"], seldom["predictions"], strict=True):
        chances = [one["probability"] for one in wide["classes"]]
        assert chances == sorted(chances, reverse=True)
        assert wide["classes"][: len(narrow["classes"])] == narrow["classes"] != []
    for words, said in (
        (("--top", 1), "--top does not go with --coverage"),
        (("--threshold", 0.5), "--threshold does not go with --coverage"),
    ):
        code, err = cli.error("predict", runs[0], photos / "boot", "--coverage", 0.7, *words)
        assert (code, said in err) == (2, True)
    shutil.copy(runs[0] / "model.safetensors", tmp_path / "alone.safetensors")
    code, err = cli.error("predict", tmp_path / "alone.safetensors", photos / "boot", "--coverage", 0.7)
    assert (code, "is none; give a run directory" in err) == (2, True)


@pytest.mark.long
def test_groups_are_told_kept_and_written(cli, runs, tmp_path):
    run = runs[0]
    (run / "evaluation.json").write_text('{"loss": 99}')
    found = cli.json("evaluate", run, "--groups", "--group", "^[bst]", "--csv", tmp_path / "groups.csv")
    assert {one["by"] for one in found["groups"]} >= {"brightness", "^[bst]"}
    assert json.loads((run / "evaluation.json").read_text())["groups"] == found["groups"]
    rows = list(csv.DictReader((tmp_path / "groups.csv").read_text().splitlines()))
    assert [(row["group"], int(row["images"])) for row in rows] == [
        (one["group"], one["images"]) for one in found["groups"]
    ]
    _, said, _ = cli("evaluate", run, "--groups", "--shortcuts")
    assert "the maps of " in said or "look at the border of " in said
    assert json.loads((run / "evaluation.json").read_text())["borders"]
    assert "images of brightness up to" in said
    assert "no group, with the rest, has enough images to be compared" in said
    assert "--groups is of one network on one set" in cli.error("evaluate", *runs, "--groups")[1]


def test_a_log_of_predictions_says_how_accurate_they_may_be(cli, runs, photos, tmp_path):
    run, log = runs[0], tmp_path / "scores.jsonl"
    (run / "evaluation.json").write_text('{"top1": 0.3}')
    answered = cli.json("predict", run, photos / "boot", "--log", log, "--top", 1)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [one["name"] for one in lines] == [one["classes"][0]["name"] for one in answered["predictions"]]
    assert not any("png" in json.dumps(one) for one in lines)
    means = [ImageStat.Stat(Image.open(one["path"]).convert("L")).mean[0] / 255 for one in answered["predictions"]]
    assert [one["brightness"] for one in lines] == pytest.approx(means, abs=0.01)
    assert "estimate takes 30" in cli.error("drift", log, run)[1]  # 21 test images and what is held out
    assert "there is no log" in cli.error("drift", tmp_path / "none", run)[1]
    log.write_text(log.read_text().replace('"name": "', '"name": "x'))
    assert "does not know" in cli.error("drift", log, run)[1]


def test_drift_measures_once_and_tells_what_moved(cli, runs, photos, tmp_path, monkeypatch):
    monkeypatch.setattr("compound.verbs.drift.LEAST", 10)
    run, log = runs[0], tmp_path / "scores.jsonl"
    (run / "evaluation.json").write_text('{"top1": 0.3}')
    cli("predict", run, photos, "--log", log)
    code, said, noted = cli("drift", log, run)
    assert (code, "looking at" in noted) == (0, True)
    assert "90 images from" in said
    assert "if classes come as often as before" in said
    found = cli.json("drift", log, run, "--last", 40)
    assert found["images"] == 40
    assert found["top1_interval"][0] <= found["top1_estimated"] <= found["top1_interval"][1]
    assert len(json.loads((run / "reference.json").read_text())["checks"]) == 12
    assert cli("drift", log, run)[2] == ""
    log.write_text(log.read_text().replace(f'"model": "{run.name}"', '"model": "another"'))
    assert "was written by 'another'; the estimate is of" in cli("drift", log, run)[2]
    (run / "reference.json").write_text("{}")
    assert (
        "reference.json is damaged: it is not what compound drift writes; delete it" in cli.error("drift", log, run)[1]
    )
