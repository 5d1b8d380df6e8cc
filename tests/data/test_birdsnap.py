"""Birdsnap in its authors' layout, in small; sizes as published."""

import pytest
from PIL import Image

from compound.data import DataError, open_data
from compound.data.named import NAMED


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "birdsnap"
    rows = []
    for number, (species, name) in enumerate([(2, "Jay"), (10, "Owl"), (2, "Jay"), (10, "Owl"), (10, "Owl")]):
        path = f"{name}/{number}.jpg"
        (folder / "download/images" / name).mkdir(parents=True, exist_ok=True)
        if number != 4:  # its address is gone
            Image.new("RGB", (12, 10), (number * 40, 0, 0)).save(folder / "download/images" / path)
        rows.append(f"http://x/{number}.jpg\tmd5\t{path}\t{species}\t0\t0\t9\t9")
    (folder / "images.txt").write_text(
        "\n".join(["url\tmd5\tpath\tspecies_id\tbb_x1\tbb_y1\tbb_x2\tbb_y2", *rows]) + "\n"
    )
    (folder / "test_images.txt").write_text("path\nJay/2.jpg\nOwl/3.jpg\n")
    (folder / "species.txt").write_text(
        "id\tcommon\tscientific\tdir\n10\tOwl\tStrix\tOwl\n2\tBlue Jay\tCyanocitta\tJay\n"
    )
    return tmp_path


def test_parts_classes_and_missing_images(root, monkeypatch):
    monkeypatch.setitem(NAMED, "birdsnap", _with_sizes((2, 2, 2)))
    data = open_data("birdsnap", root=root, holdout=0)
    assert data.classes == ("Blue Jay", "Owl")  # by the number of the species, which is not the alphabet's
    assert [data.train.path(i).rpartition("/")[2] for i in range(len(data.train))] == ["0.jpg", "1.jpg"]
    assert data.test.labels.tolist() == [0, 1]
    assert data.train.load(0).shape == (3, 10, 12)


def _with_sizes(sizes):
    from dataclasses import replace

    return replace(NAMED["birdsnap"], sizes=sizes)


def test_other_sizes_than_published_are_refused(root):
    with pytest.raises(DataError, match="has 2 training and 2 test images in 2 classes, and 47,386 training and 2,443"):
        open_data("birdsnap", root=root)


def test_where_to_get_it_is_said(tmp_path):
    with pytest.raises(DataError, match=r"birdsnap is not in .*; fetch it with the authors' get_birdsnap.py"):
        open_data("birdsnap", root=tmp_path)


def test_the_eight_sets_have_the_sizes_of_table_6():
    table = {  # training, test, classes; Table 6, but for Pets' test, which print gives as 3,369
        "cifar10": (50000, 10000, 10), "cifar100": (50000, 10000, 100), "birdsnap": (47386, 2443, 500),
        "stanfordcars": (8144, 8041, 196), "flowers102": (2040, 6149, 102), "fgvcaircraft": (6667, 3333, 100),
        "oxfordiiitpet": (3680, 3669, 37), "food101": (75750, 25250, 101),
    }  # fmt: skip
    assert {name: NAMED[name].sizes for name in table} == table
