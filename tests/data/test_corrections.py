"""Lists of corrections: labels set right and images left out, of training images alone."""

import numpy as np
import pytest

from compound.data import DataError, DataSpec
from tests.data.photos import write_pictures


@pytest.fixture
def photos(tmp_path):
    for part in ("train", "test"):
        write_pictures(tmp_path / "photos" / part, a=6, b=6, first=0 if part == "train" else 20)
    return tmp_path / "photos"


def written(path, header, *rows):
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_labels_are_set_right_and_images_left_out_by_path_or_by_identity(photos, tmp_path):
    plain = DataSpec(str(photos), holdout=0.2).open()
    paths = plain.train.paths()
    identity = f"{plain.train.identities()[3]:016x}"
    lists = {
        "relabel": written(
            tmp_path / "relabel.csv", "path,identity,label",
            f"{paths[0].removeprefix(str(photos))[1:]},,b", f"elsewhere,{identity},a",
        ),
        "drop": written(tmp_path / "drop.csv", "path", paths[1]),
    }  # fmt: skip
    spec = DataSpec(str(photos), holdout=0.2, **lists)
    data = spec.open()
    assert data.train.paths() == [paths[0], *paths[2:]]
    now = dict(zip(data.train.paths(), data.train.labels.tolist(), strict=True))
    assert (now[paths[0]], now[paths[3]]) == (1, 0)
    others = [path for path in paths[2:] if path != paths[3]]
    assert [now[path] for path in others] == [int("/b/" in path) for path in others]
    assert np.array_equal(data.test.labels, plain.test.labels)
    assert DataSpec.from_mapping(data.spec.to_mapping(), 0) == data.spec  # a run opens them again
    assert data.fingerprint() != plain.fingerprint()
    assert "relabel" not in plain.spec.to_mapping()


def test_test_images_stay_and_what_is_not_there_is_said(photos, tmp_path, capsys):
    plain = DataSpec(str(photos)).open()
    drop = written(tmp_path / "drop.csv", "path", plain.test.path(0), "nowhere.png", "nor-here.png")
    assert len(DataSpec(str(photos), drop=drop).open().test) == len(plain.test)
    said = capsys.readouterr().err
    assert "1 of the listed images are test images, which stay as they are" in said
    assert "2 of the listed images are not there" in said


@pytest.mark.parametrize(
    ("header", "rows", "said"),
    [
        ("name,label", ["x,a"], "columns path or identity, and label are needed; its first line names: name, label"),
        ("path,label", ["x,c"], "line 2: 'c' is no class; use one of a, b"),
        ("path,label", ["x,"], "line 2: label is empty"),
        ("path,label", [",a"], "line 2 names no image"),
        ("path,label", ["x,a", "x,b"], "line 3 names the image of line 2 again"),
        ("identity,label", ["12,a"], "line 2: identity '12' is no 16 hex digits"),
        ("identity,label", ["-000000000000001,a"], "is no 16 hex digits"),
    ],
)
def test_a_list_that_cannot_be_followed_is_refused(photos, tmp_path, header, rows, said):
    with pytest.raises(DataError, match=said):
        DataSpec(str(photos), relabel=written(tmp_path / "list.csv", header, *rows)).open()


def test_a_list_that_leaves_nothing_or_is_not_there_is_refused(photos, tmp_path):
    plain = DataSpec(str(photos), holdout=0).open()
    with pytest.raises(DataError, match="leaves no image"):
        DataSpec(str(photos), holdout=0, drop=written(tmp_path / "d.csv", "path", *plain.train.paths())).open()
    with pytest.raises(DataError, match=r"cannot read .*gone"):
        DataSpec(str(photos), drop=tmp_path / "gone.csv").open()
