"""A data set looked through: what was put in on purpose is found, and nothing else."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from compound.data import open_data
from compound.data.check import check, contact_sheet, dhash


def picture(seed, size=(48, 40)):
    """Smooth random blobs in colour."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8))
    return small.resize(size, Image.Resampling.BICUBIC)


@pytest.fixture
def folder(tmp_path):
    """Two classes of 12 and 3 training images, 3 test images each; one picture twice, one file damaged, one grey."""
    for part, counts in (("train", (12, 3)), ("test", (3, 3))):
        for label, count in zip("ab", counts, strict=True):
            place = tmp_path / "set" / part / label
            place.mkdir(parents=True)
            for number in range(count):
                picture(f"{part}{label}{number}".encode()[-1] + 31 * number + 997 * ord(label) + len(part)).save(
                    place / f"{number}.png"
                )
    base = tmp_path / "set"
    picture(5).save(base / "train/a/0.png")
    picture(5).resize((80, 66)).save(base / "test/b/0.jpg", quality=85)
    (base / "train/a/1.png").write_bytes((base / "train/a/1.png").read_bytes()[:200])
    picture(6).convert("L").save(base / "train/a/2.png")
    return base


def test_what_is_wrong_with_a_folder_is_found(folder):
    found = check(open_data(str(folder), holdout=0))
    train = found["parts"]["train"]
    assert (train["images"], train["per_class"], train["imbalance"]) == (15, {"a": 12, "b": 3}, 4.0)
    assert [one["path"] for one in train["damaged"]] == [str(folder / "train/a/1.png")]
    assert train["grey_in_colour"] == 1
    assert found["parts"]["test"]["sides"] == {"smallest": 40, "median": 48, "largest": 80}
    (twin,) = found["duplicates"]
    assert (twin["first"], twin["second"]) == (str(folder / "train/a/0.png"), str(folder / "test/b/0.jpg"))
    assert (twin["parts"], twin["same_class"]) == (["train", "test"], False)


def test_a_hash_survives_size_and_compression_and_tells_pictures_apart(tmp_path):
    def pixels(image):
        return torch.from_numpy(np.array(image)).permute(2, 0, 1)

    codes = [dhash(pixels(picture(seed))) for seed in range(30)]
    again = [dhash(pixels(picture(seed).resize((96, 80)))) for seed in range(30)]
    distances = np.array([[(a ^ b).bit_count() for b in again] for a in codes])
    assert distances.diagonal().max() <= 2
    assert distances[~np.eye(30, dtype=bool)].min() > 2
    assert dhash(torch.full((3, 9, 9), 200, dtype=torch.uint8)) is None


def test_a_contact_sheet_has_a_row_a_class(folder):
    data = open_data(str(folder), holdout=0)
    sheet = contact_sheet(data, columns=4, side=20)
    assert sheet.shape == (3, 40, 80)
    assert (sheet[:, 20:, 60:] == 255).all()  # class b has three
    assert (sheet[:, :20, 60:] != 255).any()


@pytest.mark.long
def test_small_pictures_of_one_kind_are_not_taken_for_each_other():
    assert len(check(open_data("fashion6k"))["duplicates"]) <= 20


def test_check_as_a_command(folder, tmp_path, capsys, monkeypatch):
    from compound.cli import application

    application(["data"])(
        ["data", "check", str(folder), "--sheet", str(tmp_path / "sheet.png"), "--json"], standalone_mode=False
    )
    value = json.loads(capsys.readouterr().out)
    assert value["classes"] == ["a", "b"]
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (512, 128)
