"""`compound data audit` as a user runs it: planted errors are found, and the lists are what training reads."""

import csv
import shutil

import numpy as np
import pytest
from cli.conftest import Cli
from PIL import Image, ImageFilter

from compound.data import DataSpec, open_data
from compound.data.folds import folded
from compound.evaluation import Evaluation
from compound.evaluation.folds import of_all, write_folds

pytestmark = pytest.mark.long


@pytest.fixture
def found(write_photos, tmp_path):
    """Thirty real images a class: two in the wrong folder, one copied into another class, one copy made smaller.

    A judge that knows better says 0.9 for the true class and is unsure of a grey picture.
    """
    import torch

    folder = write_photos(tmp_path / "photos", 30)
    for number in (3, 4):
        shutil.move(folder / "shirt" / f"{number}.png", folder / "boot" / f"shirt{number}.png")
    shutil.copy(folder / "trouser" / "7.png", folder / "boot" / "twin.png")
    with Image.open(folder / "trouser" / "9.png") as image:
        image.resize((56, 56)).filter(ImageFilter.SMOOTH).save(folder / "shirt" / "larger.png")
    Image.fromarray(np.tile(np.arange(0, 224, 8, dtype=np.uint8), (28, 1))).save(folder / "boot" / "=grey.png")
    data = open_data(str(folder), channels=1)
    divided = folded(data, 3)
    names = [divided.source.path(i)[len(str(folder)) + 1 :] for i in range(len(divided.source))]
    truth = ["shirt" if "shirt" in n.split("/")[1] else "trouser" if "twin" in n or "larger" in n else n.split("/")[0]
             for n in names]  # fmt: skip
    chances = np.array([[0.9 if c == t else 0.05 for c in data.classes] for t in truth], dtype=np.float32)
    chances[names.index("boot/=grey.png")] = [0.35, 0.33, 0.32]
    chances[names.index("boot/shirt4.png")] = [0.1, 0.88, 0.02]  # wrong, but not ten times as probable
    labels = torch.from_numpy(divided.source.labels)
    result = Evaluation(data.classes, torch.from_numpy(chances), labels, torch.arange(len(names)), [])
    return write_folds(tmp_path / "said.npz", of_all(divided, result, "a judge")), folder


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_planted_errors_are_found_and_training_reads_the_lists(cli: Cli, found, tmp_path):
    file, folder = found
    told = cli.json("data", "audit", file, "-o", tmp_path / "audit")
    assert told["doubts"] == {"duplicate": 4, "wrong": 2, "off-topic": 1, "ambiguous": 0}
    assert told["images"] == 93
    every = rows(tmp_path / "audit" / "audit.csv")
    pictures = sorted((tmp_path / "audit" / "pictures").iterdir())
    assert [one.name for one in pictures] == [f"{number:02}.png" for number in range(1, 8)]
    for one, picture in zip(every, pictures, strict=True):
        with Image.open(folder / one["path"].removeprefix("./")) as given, Image.open(picture) as kept:
            assert np.array_equal(np.asarray(given), np.asarray(kept))
    wrong = {one["path"]: one["proposed"] for one in every if one["doubt"] == "wrong"}
    assert wrong == {"boot/shirt3.png": "shirt", "boot/shirt4.png": "shirt"}
    assert [one["path"] for one in rows(tmp_path / "audit" / "relabel.csv")] == ["boot/shirt3.png"]
    assert told["corrected"] == 1
    copies = {one["path"]: one["proposed"] for one in every if one["doubt"] == "duplicate"}
    assert copies == {"boot/twin.png": "trouser", "trouser/7.png": "boot",
                      "shirt/larger.png": "trouser", "trouser/9.png": "shirt"}  # fmt: skip
    assert {one["path"] for one in rows(tmp_path / "audit" / "drop.csv")} == {
        "boot/=grey.png", "boot/twin.png", "shirt/larger.png",
    }  # fmt: skip
    page = (tmp_path / "audit" / "audit.html").read_text()
    assert page.count("<img src=") == 7
    assert "Probably wrong labels: 2" in page
    lists = {name: tmp_path / "audit" / f"{name}.csv" for name in ("relabel", "drop")}
    plain, data = (DataSpec(str(folder), 1, 0.0, **given).open() for given in ({}, lists))
    kept = {path: data.classes[label] for path, label in zip(data.train.paths(), data.train.labels, strict=True)}
    for path in plain.train.paths():
        name = path[len(str(folder)) + 1 :]
        if name in ("boot/=grey.png", "boot/twin.png", "shirt/larger.png"):
            assert path not in kept
        else:
            assert kept[path] == ("shirt" if name == "boot/shirt3.png" else name.split("/")[0])


def test_images_that_changed_since_are_left_out_and_other_places_refused(cli: Cli, found, tmp_path):
    file, folder = found
    (folder / "boot" / "shirt3.png").unlink()
    code, out, err = cli("data", "audit", file)
    assert code == 0
    assert "1 of 93 images are no longer there" in err
    assert "1 wrong" in out
    assert (tmp_path / "audit" / "audit.html").is_file()
    shutil.rmtree(folder / "boot")
    code, err = cli.error("data", "audit", file)
    assert (code, "has other classes than when it was folded" in err) == (2, True)
    code, err = cli.error("data", "audit", tmp_path)
    assert (code, "holds no out-of-fold.npz" in err) == (2, True)
