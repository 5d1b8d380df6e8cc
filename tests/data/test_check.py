"""A data set looked through: what was put in on purpose is found, and nothing else."""

import json
import os

import numpy as np
import pytest
import torch
from PIL import Image

import compound
from compound.cli.answers.checked import check_text
from compound.data import DataError, open_data
from compound.data.check import check, dhash
from compound.data.oddities import oddities
from compound.data.sheet import contact_sheet, names_column
from compound.data.twins import copies, repeats
from compound.errors import CompoundError, UsageError


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
        assert sheet.size == (160 + 512, 128)


@pytest.fixture
def wrong(tmp_path):
    """Faults, odd files and pictures that look the same, all in one folder."""
    base = tmp_path / "wrong"
    for label in ("cat", "dog", "empty", "$5 猫"):
        (base / label).mkdir(parents=True)
        for number in range(0 if label == "empty" else 6):
            picture(number + 100 * ord(label[0])).save(base / label / f"{number}.png")
    picture(1000).save(base / "cat/again.png")
    picture(1000).save(base / "dog/again.png")  # the same bytes, under another label
    picture(2000).save(base / "cat/large.png")
    picture(2000).resize((96, 80)).save(base / "cat/small.jpg", quality=85)
    os.link(base / "cat/0.png", base / "dog/linked.png")
    Image.fromarray(np.arange(1024, dtype=np.uint16).reshape(32, 32) * 60).save(base / "dog/deep.png")
    Image.fromarray(np.eye(32, dtype=np.uint8) > 0).save(base / "dog/bits.png")
    picture(3000).convert("RGBA").save(base / "dog/clear.png")
    (base / "dog/notes.txt").write_text("no image")
    (base / "cat/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return base


def test_images_that_training_refuses_to_read_are_a_fault(tmp_path):
    for label in "ab":
        (tmp_path / label).mkdir()
        for number in range(20):
            (tmp_path / label / f"{number}.png").write_bytes(b"no picture")
    faults = compound.check_data(tmp_path).faults
    assert "images to train on cannot be read" in faults[-1]
    assert "raise the limit (--damaged-limit)" in faults[-1]


def test_everything_is_listed_and_nothing_stops(wrong, tmp_path):
    with pytest.raises(DataError):
        open_data(str(wrong))
    found = compound.check_data(wrong, tmp_path / "sheet.png")
    linked, empty = sorted(found.faults, key=lambda fault: "empty" in fault)
    assert linked.startswith(f"{wrong}/dog/linked.png and {wrong}/cat/0.png are one file in two classes")
    assert f"{wrong}: class folder empty holds no images" in empty
    told = found.to_json()
    assert told["classes"] == ["$5 猫", "cat", "dog"]
    assert any("notes" not in what and ".txt" in what for what in told["left_out"])
    odd, damaged = {}, []
    for part in told["parts"].values():
        damaged += part["damaged"]
        for kind, files in part["odd"].items():
            odd[kind] = odd.get(kind, 0) + files
    assert odd == {"16 bits a channel": 1, "1 bit a channel": 1, "transparent": 1}
    assert [one["path"] for one in damaged] == [str(wrong / "cat/broken.png")]
    (torn,) = (pair for pair in told["within"] if not pair["same_class"])
    assert (torn["first"], torn["second"]) == (str(wrong / "cat/again.png"), str(wrong / "dog/again.png"))
    assert torn["labels"] == ["cat", "dog"]
    near = [pair for pair in told["within"] + told["duplicates"] if pair["same_class"]]
    assert [{pair["first"], pair["second"]} for pair in near] == [
        {str(wrong / "cat/large.png"), str(wrong / "cat/small.jpg")}
    ]


def test_the_command_says_it_in_lines(wrong, capsys):
    from compound.cli import application

    with pytest.raises(CompoundError, match="2 faults to mend, listed above"):
        application(["data"])(["data", "check", str(wrong)], standalone_mode=False)
    said = capsys.readouterr().out
    assert said.count("to mend, or training refuses this data: ") == 2
    assert "1 of 16 bits a channel" in said
    assert ", 1 transparent" in said
    assert f"{wrong}/cat/again.png = {wrong}/dog/again.png, as cat and as dog" in said


def test_one_class_and_a_table_with_every_fault_are_listed(tmp_path):
    (tmp_path / "one" / "cat").mkdir(parents=True)
    picture(1).save(tmp_path / "one" / "cat" / "a.png")
    picture(2).save(tmp_path / "one" / "cat" / "b.png")
    assert any("single class" in fault for fault in compound.check_data(tmp_path / "one").faults)
    rows = ["path,label,split", "one/cat/a.png,cat,train", "one/cat/b.png,dog,train", "one/cat/a.png,dog,train"]
    rows += ["one/cat/b.png,,train", "one/cat/a.png,eel,later"]
    (tmp_path / "table.csv").write_text("\n".join(rows))
    faults = "\n".join(compound.check_data(tmp_path / "table.csv").faults)
    for said in ("is listed twice, with 'cat' and 'dog'", "path or label is empty", "split 'later' is unknown"):
        assert said in faults
    with pytest.raises(UsageError, match="there is no"):
        compound.check_data(tmp_path / "nothing.csv")


def test_pairs_are_found_once_and_within_bounds(monkeypatch):
    hashes = np.array([7, 7, 7, 2**63], dtype=np.uint64)
    small = np.array([[0] * 256, [1] * 256, [99] * 256, [0] * 256], dtype=np.int16)
    part = (hashes, np.array([10, 20, 30, 40]), small)
    assert repeats(part) == [(10, 20)]
    monkeypatch.setattr("compound.data.twins.MOST_PAIRS", 2)
    same = (np.zeros(9, np.uint64), np.arange(9), np.zeros((9, 256), np.int16))
    assert repeats(same) == [(0, 1), (0, 2)]


def test_copies_are_named_with_the_first_of_them(wrong):
    (wrong / "empty").rmdir()
    (wrong / "dog/linked.png").unlink()
    data = open_data(str(wrong), holdout=0)
    every = {(data.train.path(a), data.train.path(b)) for a, b in copies(data.train)}
    every |= {(data.test.path(a), data.test.path(b)) for a, b in copies(data.test)}
    assert every == {(str(wrong / "cat/again.png"), str(wrong / "dog/again.png"))}


def test_bytes_that_are_no_image_are_not_odd():
    assert oddities(b"") == oddities(b"text") == oddities(b"\x89PNG\r\n\x1a\n") == ()


def test_names_stand_beside_their_rows():
    column = names_column(("cat", "$5 bill"), 128)
    assert column.shape == (3, 128, 160)
    assert column[:, :64].min() < 128
    assert column[:, 64:].min() < 128
    assert (names_column(("", "b"), 128)[:, :64] == 255).all()


@pytest.mark.long
def test_of_many_classes_the_fewest_are_shown(tmp_path):
    labels = np.repeat(np.arange(1200), 2)[1:]
    images = np.arange(len(labels) * 48, dtype=np.uint8).reshape(-1, 4, 4, 3)
    np.savez(tmp_path / "many.npz", train_images=images, train_labels=labels, test_images=images, test_labels=labels)
    lines = check_text(compound.check_data(tmp_path / "many.npz")).splitlines()
    (first,) = (number for number, line in enumerate(lines) if line.startswith("class "))
    assert lines[first + 1].split()[0] == "0"
    assert lines[first + 21] == "  these have the fewest images; and 1,180 more classes, see --json"
