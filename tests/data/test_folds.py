"""Folds: every image once, classes alike in all, and nothing that belongs together on two sides."""

import shutil

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from compound.data import ArraySource, DataError, open_data
from compound.data.folds import fold_of, folded, groups_in, units_of
from compound.data.source import concatenated
from tests.data.photos import write_pictures


@given(st.integers(2, 6), st.lists(st.integers(0, 3), min_size=12, max_size=60), st.integers(0, 5))
def test_every_image_is_in_one_fold_and_classes_are_spread_evenly(folds, labels, seed):
    labels = np.array(labels)
    for units in (None, np.arange(len(labels)), np.minimum(np.arange(len(labels)), len(labels) - 2)):
        fold = fold_of(labels, folds, seed, units)
        assert set(fold.tolist()) <= set(range(folds))
        counts = np.stack([np.bincount(labels[fold == k], minlength=4) for k in range(folds)])
        assert (counts.max(0) - counts.min(0) <= 2).all()


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), min_size=20, max_size=80))
def test_units_are_never_divided(pairs):
    units, labels = (np.array(column) for column in zip(*pairs, strict=True))
    if len(np.unique(units)) < 2:
        return
    fold = fold_of(labels, 2, 0, units)
    assert all(len(np.unique(fold[units == one])) == 1 for one in np.unique(units))


def test_contents_and_groups_tie_images_together():
    identities = np.array([1, 2, 2, 3, 4, 5], dtype=np.uint64)
    assert len(np.unique(units_of(identities))) == 5
    # 0 and 1 are of one group, 1 and 2 of one content, 2 and 3 of one group; 4 and 5 stand alone.
    unit = units_of(identities, np.array([0, 0, 1, 1, 2, 3]))
    assert len({int(unit[i]) for i in range(4)}) == 1
    assert len(np.unique(unit)) == 3


def test_images_of_several_arrays_are_one_source():
    first, second = (ArraySource(torch.full((2, 1, 3, 3), n, dtype=torch.uint8), [n, n], f"part {n}") for n in (0, 1))
    both = concatenated(first, second).subset(np.array([3, 0]))
    assert [both.path(0), both.path(1)] == ["part 1[1]", "part 0[0]"]
    assert both.load(0).max() == 1
    assert concatenated(both, first).path(2) == "part 0[0]"
    with pytest.raises(DataError, match="two kinds"):
        concatenated(first, ArraySource(torch.zeros(1, 1, 4, 4, dtype=torch.uint8), [0], "larger"))


@pytest.fixture
def photos(tmp_path):
    """Thirty pictures, three of each object, and a copy of one under another name."""
    folder = write_pictures(tmp_path / "photos", a=15, b=15)
    for name in "ab":
        for number in range(15):
            (folder / name / f"{number:03}.png").rename(folder / name / f"object{number // 3}_{number % 3}.png")
    shutil.copy(folder / "a" / "object0_0.png", folder / "a" / "object4_copy.png")
    return folder


def test_a_group_by_pattern_and_copies_stay_on_one_side(photos):
    found = folded(open_data(str(photos)), 3, group=r"(./object\d)")
    names = [found.source.path(i)[len(str(photos)) + 1 :] for i in range(len(found.source))]
    assert len(names) == 31
    sides = {}
    for name, fold in zip(names, found.fold, strict=True):
        sides.setdefault(name[:9], set()).add(int(fold))
    assert all(len(one) == 1 for one in sides.values())
    assert sides["a/object0"] == sides["a/object4"]  # tied by the copy
    for number in range(3):
        data = found.without(number)
        learned, judged = (
            {source.path(i)[len(str(photos)) + 1 :][:9] for source in sources for i in range(len(source))}
            for sources in ((data.train, data.holdout), (data.test,))
        )
        assert judged
        assert not learned & judged
        assert len(data.train) + len(data.holdout) + len(data.test) == 31


def test_of_a_few_groups_no_more_are_held_out_than_was_asked(tmp_path):
    folder = write_pictures(tmp_path / "photos", a=60, b=60)
    for name in "ab":
        for number in range(60):
            (folder / name / f"{number:03}.png").rename(folder / name / f"o{number % 10}_{number}.png")
    for seed in (13, 16, 22):  # of which chance takes up to 57 %
        found = folded(open_data(str(folder), holdout=0.2, seed=seed), 3, seed, r"/(o\d)_")
        shares = [len(data.holdout) / (len(data.train) + len(data.holdout)) for data in map(found.without, range(3))]
        assert all(0 < share <= 0.3 for share in shares)


def test_a_group_by_a_column_of_the_csv(photos, tmp_path):
    files = sorted(photos.rglob("*.png"))
    lines = [f"{path.relative_to(tmp_path)},{path.parent.name},{path.name[6]}" for path in files]
    table = tmp_path / "list.csv"
    table.write_text("path,label,Object\n" + "\n".join(lines) + "\n")
    data = open_data(str(table))
    numbers = groups_in(data, data.train, "object")
    assert [path.split("object")[1][0] for path in data.train.paths()] == [str(n) for n in numbers]
    table.write_text("path,label,Object\n" + "\n".join(lines).replace(",3\n", ",\n") + "\n")
    with pytest.raises(DataError, match=r"column object is empty for .*object3_0"):
        groups_in(data, data.train, "object")


@pytest.mark.parametrize(
    ("group", "said"),
    [("(object", "no column of .* and no regular expression"), ("cat", "finds nothing in a/"), ("obj", "one group")],
)
def test_a_group_that_is_none_is_refused(photos, group, said):
    data = open_data(str(photos))
    with pytest.raises(DataError, match=said):
        groups_in(data, data.train, group)


def test_more_folds_than_groups_are_refused(photos):
    with pytest.raises(DataError, match="folds 7 is not possible with 4 groups"):
        folded(open_data(str(photos)), 7, group=r"object(\d)")
