"""Which files are the data: each once, whatever it is called, and the rest said."""

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from compound.data import DamagedImage, DataError, open_data
from compound.data.check import check
from compound.data.listing import listed
from compound.data.readable import first_readable
from compound.deploy import find_images
from tests.data.photos import drawn, write_pictures


def everything(where) -> list[str]:
    data = open_data(str(where), holdout=0.2)
    return sorted(part.path(i) for part in (data.train, data.holdout, data.test) for i in range(len(part)))


@pytest.fixture
def photos(tmp_path) -> Path:
    return write_pictures(tmp_path / "photos", box=10, disc=10)


def test_links_in_circles_end_and_multiply_nothing(photos):
    there = everything(photos)
    (photos / "disc" / "loop").symlink_to("../disc/loop")
    (photos / "disc" / "again").symlink_to(".")
    (photos / "disc" / "up").symlink_to("..")
    (photos / "disc" / "inner").mkdir()
    (photos / "disc" / "inner" / "back").symlink_to(photos / "disc")
    (photos / "whole").symlink_to(photos)
    assert everything(photos) == there
    left_out = open_data(str(photos)).left_out
    circles = {"disc/again", "disc/up", "disc/inner/back", "whole"}
    assert {str(photos / one) for one in circles} == {what for what, why in left_out.items() if "within" in why}
    assert sorted(map(str, find_images([photos]))) == there


def test_a_link_to_pictures_elsewhere_is_followed_once(photos, tmp_path):
    pool = write_pictures(tmp_path / "pool", first=50, more=3) / "more"
    (photos / "box" / "first").symlink_to(pool)
    (photos / "box" / "second").symlink_to(pool)
    (photos / "box" / "one.png").symlink_to(pool / "050.png")
    found = everything(photos)
    assert len(found) == 23
    assert len({os.path.realpath(path) for path in found}) == 23
    box = photos / "box"
    os.link(box / "003.png", box / "again.png")
    said = open_data(str(photos)).left_out
    assert said.pop(f"2 other names of files below {box}") == "a file counts once"
    assert len(everything(photos)) == 23


def test_one_file_in_two_classes_is_refused(photos):
    (photos / "disc" / "x.png").symlink_to(photos / "box" / "003.png")
    with pytest.raises(DataError, match=r"disc/x\.png and .*box/003\.png are one file in two classes; remove one"):
        open_data(str(photos))


def test_rows_that_name_an_image_again_count_once(photos):
    rows = [f"{path.relative_to(photos)},{path.parent.name}" for path in sorted(photos.glob("*/*.png"))]
    twice = [*rows, *rows[:4], f"box/../{rows[0]}"]
    (photos / "list.csv").write_text("\n".join(["path,label", *twice]))
    data = open_data(str(photos / "list.csv"), holdout=0)
    assert len(data.train) + len(data.test) == 20
    assert data.left_out == {f"5 rows of {photos / 'list.csv'}": "each names an image again"}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("box/000.png,disc,train", "with 'box' and 'disc'; keep one row, or name both in a column labels: a;b"),
        ("./box/000.png,box,test", "with train and test; keep one row"),
    ],
)
def test_two_rows_that_say_different_things_are_refused(photos, row, said):
    rows = [f"{path.relative_to(photos)},{path.parent.name},train" for path in sorted(photos.glob("*/*.png"))]
    (photos / "list.csv").write_text("\n".join(["path,label,split", *rows, row]))
    with pytest.raises(DataError) as error:
        open_data(str(photos / "list.csv"))
    assert str(error.value).endswith(f"{photos / 'box' / '000.png'} is listed twice, {said}")


NAMES_OF_PARTS = [("Training", "Testing"), ("TRAIN", "Test"), ("train", "TESTING"), ("trainset", "testset")]
NAMES_OF_PARTS += [
    ("seg_train", "seg_test"),
    ("Train-Set", "Test-Set"),
    ("train2017", "val2017"),
    ("1 train", "2 test"),
]


@pytest.mark.parametrize("other", ["absolute", "symbolic", "hard"])
def test_one_image_under_two_paths_of_a_list_counts_once(photos, tmp_path, other):
    path = tmp_path / "other.png"
    if other != "absolute":
        (path.symlink_to if other == "symbolic" else path.hardlink_to)(photos / "box" / "000.png")
    named = photos / "box" / "000.png" if other == "absolute" else path
    rows = [f"{each.relative_to(photos)},{each.parent.name}" for each in sorted(photos.glob("*/*.png"))]
    (photos / "list.csv").write_text("\n".join(["path,label", *rows, f"{named},box"]))
    data = open_data(str(photos / "list.csv"))
    assert len(data.train) + len(data.holdout) + len(data.test) == len(rows)
    assert data.left_out == {f"1 row of {photos / 'list.csv'}": "each names an image again"}
    (photos / "list.csv").write_text("\n".join(["path,label", *rows, f"{named},cat"]))
    with pytest.raises(DataError, match=r"000.png is listed twice, .*with 'box' and 'cat'"):
        open_data(str(photos / "list.csv"))


@pytest.mark.parametrize("names", NAMES_OF_PARTS)
def test_parts_are_known_in_any_case(tmp_path, names):
    for part, first in zip(names, (0, 50), strict=True):
        write_pictures(tmp_path / "photos" / part, first=first, a=6, b=6)
    data = open_data(str(tmp_path / "photos"), holdout=0)
    assert (data.classes, len(data.train), len(data.test)) == (("a", "b"), 12, 12)


def test_a_part_may_stand_in_a_folder_of_its_own_name(tmp_path):
    """As an archive of a part leaves it: train/train/CLASS."""
    for part, first in (("Train", 0), ("test", 50)):
        write_pictures(tmp_path / "photos" / part / part.lower(), first=first, a=6, b=6)
    data = open_data(str(tmp_path / "photos"), holdout=0)
    assert (data.classes, len(data.train), len(data.test)) == (("a", "b"), 12, 12)


def test_classes_that_look_like_parts_are_doubted(tmp_path, capsys):
    for name in ("lernen", "proben"):
        write_pictures(tmp_path / name, a=5, b=5)
    assert open_data(str(tmp_path)).classes == ("lernen", "proben")
    assert "lernen and proben are taken for classes" in capsys.readouterr().err
    write_pictures(tmp_path / "other", a=5, c=5)
    open_data(str(tmp_path))
    assert not capsys.readouterr().err


def test_a_folder_around_all_classes_is_named(tmp_path):
    write_pictures(tmp_path / "photos", a=5, b=5)
    with pytest.raises(DataError, match=f"a single class, 'photos'; name {tmp_path / 'photos'}, if its 2 folders"):
        open_data(str(tmp_path))


def test_parts_that_are_not_known_are_named(tmp_path):
    for first, part in enumerate(("train", "eval", "dev", "Train")):
        write_pictures(tmp_path / "photos" / part, first=first * 20, a=5, b=5)
    said = open_data(str(tmp_path / "photos")).left_out
    unknown = {str(tmp_path / "photos" / part) for part in ("eval", "dev", "Train")}
    assert said == dict.fromkeys(unknown, "no part that is known beside train; call it val or test")


def test_every_file_is_an_image_or_is_counted(tmp_path):
    """70 files, of which 50 were passed over without a word: JPEG by another name and AVIF are images."""
    folder = tmp_path / "photos"
    endings = [
        (".jpg", "JPEG"),
        (".jfif", "JPEG"),
        (".JPE", "JPEG"),
        (".avif", "AVIF"),
        (".heic", None),
        (".txt", None),
    ]
    avif = features.check("avif")
    for kind, label in enumerate(("a", "b")):
        (folder / label).mkdir(parents=True)
        for each, (ending, form) in enumerate(endings):
            for number in range(5):
                path = folder / label / f"{number}{ending}"
                picture = Image.fromarray(drawn(kind, 10 * each + number))
                picture.save(path, form if form != "AVIF" or avif else "JPEG") if form else path.write_text("x")
    Image.fromarray(drawn(0, 99)).save(folder / "loose.png")
    data = open_data(str(folder), holdout=0)
    said = dict(data.left_out)
    assert len(everything(folder)) == 40 if avif else 30
    assert said.pop(f"1 image in {folder}") == "in no folder of a class"
    assert "pillow-heif" in said.pop(f"{folder}: 10 files ending in .heic")
    assert said.pop(f"{folder}: 10 files ending in .txt") == "no image format that is read"
    assert not said or not avif
    found = check(data)
    assert not any(part["damaged"] for part in found["parts"].values())
    assert found["left_out"] == data.left_out


def test_all_verbs_see_the_same_files(photos, tmp_path, capsys):
    (photos / "box" / ".hidden").mkdir()
    shutil.copy(photos / "box" / "000.png", photos / "box" / ".hidden" / "x.png")
    shutil.copy(photos / "box" / "000.png", photos / "box" / ".x.png")
    (photos / "disc" / "folder.png").mkdir()
    Image.fromarray(drawn(1, 77)).save(photos / "disc" / "folder.png" / "IN.PNG")
    (photos / "disc" / "notes.md").write_text("x")
    assert sorted(map(str, find_images([photos]))) == everything(photos) == listed(photos).files
    assert "left out: 1 file ending in .md: no image format that is read" in capsys.readouterr().err


def test_a_class_of_files_that_are_not_read_says_which(photos):
    (photos / "arc").mkdir()
    (photos / "arc" / "1.heic").write_text("x")
    with pytest.raises(
        DataError, match=r"class folder arc holds no images; .*; 1 file ending in \.heic: .*pillow-heif"
    ):
        open_data(str(photos))


def test_a_link_to_nothing_is_a_damaged_image(photos):
    for name in ("x.png", "y.png"):
        (photos / "box" / name).symlink_to("nowhere.png")
    data = open_data(str(photos), holdout=0)
    parts = check(data)["parts"].values()
    assert sum(len(part["damaged"]) for part in parts) == 2
    assert np.sum([part["images"] for part in parts]) == 22


def test_the_first_picture_that_can_be_read_is_looked_at(photos):
    source = open_data(str(photos)).train
    Path(source.path(0)).write_text("no picture")
    assert first_readable(source).shape == (3, 32, 32)
    for path in source.paths():
        Path(path).write_text("no picture")
    with pytest.raises(DamagedImage, match=re.escape(source.path(0))):
        first_readable(source)
