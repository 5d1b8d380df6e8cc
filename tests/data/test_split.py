"""Which part an image belongs to follows from what it is: files that come, go or are renamed move no other."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from compound.data import ArraySource, DataError, DataSpec, open_data
from compound.data.caching import write_cache
from compound.data.identity import PIECE, WHOLE, of_content, of_files
from compound.data.open import read_tables
from compound.data.split import by_identity
from tests.data.photos import write_pictures


def parts_of(where: Path, **options) -> dict[str, str]:
    """The part of every file, by its path within the folder."""
    data = open_data(str(where), **options)
    parts = {"train": data.train, "holdout": data.holdout, "test": data.test}
    return {
        str(Path(source.path(i)).relative_to(where)): part for part, source in parts.items() for i in range(len(source))
    }


@pytest.mark.parametrize("holdout", [0.05, 0.3, 0])
def test_files_that_come_go_or_are_renamed_move_no_other(tmp_path, holdout):
    folder = write_pictures(tmp_path / "photos", a=30, b=30)
    before = parts_of(folder, holdout=holdout)
    write_pictures(tmp_path / "more", a=35)
    for number in range(30, 35):  # they sort first
        shutil.copy(tmp_path / "more" / "a" / f"{number:03}.png", folder / "a" / f"!{number}.png")
    assert before.items() <= parts_of(folder, holdout=holdout).items()
    (folder / "b" / "004.png").rename(folder / "b" / "zzz.png")
    (folder / "a" / "011.png").unlink()
    after = parts_of(folder, holdout=holdout)
    assert after["b/zzz.png"] == before["b/004.png"]
    kept = {name: part for name, part in before.items() if name not in ("a/011.png", "b/004.png")}
    assert kept.items() <= after.items()


def test_copies_of_one_picture_fall_on_one_side(tmp_path):
    folder = write_pictures(tmp_path / "photos", a=20, b=20)
    for number in range(20):
        shutil.copy(folder / "a" / f"{number:03}.png", folder / "a" / f"copy of {number:03}.png")
    found = parts_of(folder, holdout=0.3)
    assert len({found[f"a/{n:03}.png"] for n in range(20)}) == 3
    assert all(found[f"a/{n:03}.png"] == found[f"a/copy of {n:03}.png"] for n in range(20))


def test_a_test_image_that_is_trained_on_is_left_out(tmp_path):
    for part, count in (("train", 8), ("test", 4)):
        folder = write_pictures(tmp_path / "photos" / part, a=count, b=count).parent
    with pytest.raises(
        DataError, match=r"every image to use for test is a copy of one to train on, such as .*000\.png"
    ):
        open_data(str(folder))
    write_pictures(folder / "test", a=6, b=6, first=4)
    shutil.rmtree(folder / "train")
    write_pictures(folder / "train", a=5, b=5)
    data = open_data(str(folder), holdout=0)
    assert (len(data.train), len(data.test)) == (10, 10)
    assert len(data.left_out) == 10
    assert data.left_out[str(folder / "test" / "a" / "000.png")] == "it is a copy of an image to train on"


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_every_class_gets_about_its_share_and_is_on_both_sides(share):
    """Over many seeds: the mean is the share, the spread is the binomial's, and no class is empty on either side."""
    labels = np.repeat(np.arange(4), [1, 2, 12, 400])
    identities = np.random.default_rng(0).integers(0, 2**63, len(labels)).astype(np.uint64)
    taken = np.array(
        [np.bincount(labels[by_identity(labels, identities, share, s)[1]], minlength=4) for s in range(300)]
    )
    assert taken[:, 0].max() == 0  # a single image trains
    assert (taken[:, 1] == 1).all()
    assert taken[:, 2].min() >= 1
    assert taken[:, 2].max() <= 11
    assert abs(taken[:, 3].mean() / 400 - share) < 0.01
    assert np.isclose(taken[:, 3].std(), np.sqrt(400 * share * (1 - share)), rtol=0.15)
    assert len(by_identity(labels, identities, 0, 0)[1]) == 0


def test_a_number_is_taken_exactly_and_copies_stay_together():
    labels = np.repeat([0, 1, 2], [100, 200, 301])
    identities = np.arange(len(labels), dtype=np.uint64)
    kept, taken = by_identity(labels, identities, 60, 5)
    assert (len(kept), len(taken)) == (541, 60)
    assert np.bincount(labels[taken]).tolist() == [10, 20, 30]
    identities[1::2] = identities[::2][: len(identities[1::2])]  # each picture twice, some in two classes
    for seed in range(20):
        kept, taken = by_identity(labels, identities, 60, seed)
        assert len(taken) in (59, 60)
        assert not set(identities[kept]) & set(identities[taken])


def test_a_picture_under_two_labels_stays_on_one_side():
    labels, identities = np.array([0, 0, 1, 1]), np.array([7, 8, 7, 9], dtype=np.uint64)
    for seed in range(50):
        kept, taken = by_identity(labels, identities, 0.2, seed)
        assert not set(identities[kept]) & set(identities[taken])
        assert set(labels[kept]) == {0, 1}


def test_what_tells_files_apart(tmp_path):
    for name, data in (("a", b"x" * 10), ("b", b"x" * 11), ("c", b"x" * 10), ("d", bytes(4 * WHOLE))):
        (tmp_path / name).write_bytes(data)
    changed = bytearray(4 * WHOLE)
    changed[-PIECE] = 1
    (tmp_path / "e").write_bytes(changed)
    paths = [str(tmp_path / name) for name in "abcde"]
    a, b, c, d, e = of_files(paths).tolist()
    assert a == c
    assert len({a, b, d, e}) == 4
    none, folder = of_files([str(tmp_path / "none"), str(tmp_path)]).tolist()
    assert none != folder  # by their paths


@pytest.mark.parametrize("kind", ["bmp", "ppm", "tiff", "png"])
@pytest.mark.parametrize("place", [(60, 60), (130, 77), (199, 3)])
def test_one_changed_pixel_is_another_picture(kind, place, tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (200, 200, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / f"a.{kind}")
    pixels[place] ^= 1
    Image.fromarray(pixels).save(tmp_path / f"b.{kind}")
    one, other = of_files([str(tmp_path / f"{name}.{kind}") for name in "ab"]).tolist()
    assert (tmp_path / f"a.{kind}").stat().st_size > WHOLE
    assert one != other
    assert one == of_content((tmp_path / f"a.{kind}").read_bytes())  # as within a tar


def test_what_an_older_version_divided_by_position_still_is(tmp_path):
    folder = write_pictures(tmp_path / "photos", a=30, b=30)
    old, new = DataSpec(str(folder), by="position").open(), open_data(str(folder))
    assert [np.bincount(part.labels).tolist() for part in (old.train, old.holdout, old.test)] == [
        [23, 23],
        [1, 1],
        [6, 6],
    ]
    assert (old.spec.by, new.spec.by, open_data("fashion6k").spec.by) == ("position", "content", "position")
    assert old.fingerprint() != new.fingerprint()


def test_the_fingerprint_is_of_the_images_and_not_of_their_names(tmp_path):
    folder = write_pictures(tmp_path / "photos", a=12, b=12)
    before = open_data(str(folder)).fingerprint()
    (folder / "a" / "000.png").rename(folder / "a" / "renamed.png")
    assert open_data(str(folder)).fingerprint() == before
    shutil.copy(folder / "a" / "001.png", folder / "a" / "renamed.png")  # another picture, as many of the class
    assert open_data(str(folder)).fingerprint() != before
    arrays = [
        ArraySource(source.images ^ bit, source.labels, "")
        for source in [open_data("fashion6k").train]
        for bit in (0, 1)
    ]
    assert set(arrays[0].identities().tolist()).isdisjoint(arrays[1].identities().tolist())


def test_a_cache_is_divided_as_its_files(tmp_path):
    folder = write_pictures(tmp_path / "photos", a=20, b=20)
    write_cache(read_tables(DataSpec(str(folder))), tmp_path / "cache", 16)
    cached, files = open_data(str(tmp_path / "cache"), holdout=0.3), open_data(str(folder), holdout=0.3)
    for part in ("train", "holdout", "test"):
        assert [getattr(cached, part).path(i) for i in range(len(getattr(cached, part)))] == [
            getattr(files, part).path(i) for i in range(len(getattr(files, part)))
        ]
    assert cached.fingerprint() == files.fingerprint()
    assert cached.spec.by == "content"
