"""Every kind of data set opens into disjoint, stratified, reproducible parts; what is wrong is said in a sentence."""

import csv
import gzip
import hashlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from compound.data import CLASSES, ArraySource, DataError, named, open_data, subset
from compound.data.idx import read_idx, write_idx
from compound.data.open import FASHION6K
from compound.data.spec import DataSpec
from compound.data.split import stratified

SHA256 = {  # of the files that scripts/make_fashion6k.py made from Debian's dataset-fashion-mnist 0.0~git20200523
    "t10k-images-idx3-ubyte.gz": "1d883f3966f98d7fc5011e0ff22f6e190d3b994ad0583bfd53c4b120eb39f754",
    "t10k-labels-idx1-ubyte.gz": "4f81dd80fbbee90c38545ee999e120b1c191bf127f0aa516f21ef7e023d316a9",
    "train-images-idx3-ubyte.gz": "8cdd6eb3db9f71d038db812672f156fd89a164a94f767144b5586d415d3cfa4f",
    "train-labels-idx1-ubyte.gz": "ad10c5b63cc571a1b1e3466e319c5712cf94438f98643f47a64c2239b56ea625",
}


def paths(source) -> list[str]:
    return [source.path(i) for i in range(len(source))]


def test_fashion6k_is_the_very_files_with_their_licence():
    assert {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in FASHION6K.glob("*.gz")} == SHA256
    assert "Zalando SE" in (FASHION6K / "LICENSE").read_text()
    assert sum(p.stat().st_size for p in FASHION6K.iterdir()) <= 4e6


@pytest.mark.long
def test_the_holdout_as_a_number_is_exact_and_stratified():
    """As the paper's minival: 25,022 of 1,281,167 images of 1,000 classes."""
    for held in (1, 7, 333, 5990):
        data = open_data("fashion6k", holdout=held)
        counts = np.bincount(data.holdout.labels, minlength=10)
        assert counts.sum() == held == data.spec.holdout
        assert counts.max() - counts.min() <= 1  # classes are equally large
        assert not set(paths(data.train)) & set(paths(data.holdout))
    labels = np.repeat(np.arange(1000), 1281)[:1_280_900]
    kept, taken = stratified(labels, 25_022, seed=0)
    assert (len(kept), len(taken)) == (1_280_900 - 25_022, 25_022)
    uneven = np.repeat([0, 1, 2], [1, 3, 96])
    assert np.bincount(uneven[stratified(uneven, 10, seed=0)[1]], minlength=3).tolist() == [0, 0, 10]
    assert np.bincount(uneven[stratified(uneven, 97, seed=0)[1]], minlength=3).tolist() == [0, 2, 95]


def test_a_share_holds_out_no_more_than_most():
    few, usual = (DataSpec("fashion6k", most=most).open() for most in (100, 25_022))
    assert [(len(data.holdout), data.spec.holdout, data.spec.most) for data in (few, usual)] == [
        (100, 100, None),
        (300, 0.05, None),
    ]
    assert few.spec.open().fingerprint() == few.fingerprint()


def test_fashion6k_opens_with_a_stratified_holdout():
    data = open_data("fashion6k", holdout=0.1)
    assert (data.name, data.classes, data.channels) == ("fashion6k", CLASSES, 1)
    assert [np.bincount(part.labels).tolist() for part in (data.train, data.holdout, data.test)] == [
        [540] * 10,
        [60] * 10,
        [100] * 10,
    ]
    assert data.train.load(0).shape == (1, 28, 28)
    assert not set(paths(data.train)) & set(paths(data.holdout))


def test_the_same_seed_gives_the_same_parts_and_another_seed_others():
    first, again, other = (open_data("fashion6k", seed=seed) for seed in (1, 1, 2))
    assert paths(first.holdout) == paths(again.holdout) != paths(other.holdout)
    assert first.fingerprint() == again.fingerprint() != other.fingerprint()
    assert len(open_data("fashion6k", holdout=0).holdout) == 0


def test_first_images_are_those_of_the_original():
    folder = Path("/usr/share/datasets/fashion-mnist")
    if not folder.exists():
        pytest.skip("needs Debian's dataset-fashion-mnist")
    whole, small = open_data(str(folder), holdout=0), open_data("fashion6k", holdout=0)
    assert whole.classes == CLASSES
    assert len(whole.train) == 60_000
    for label in range(10):
        ours = small.train.images[torch.from_numpy(small.train.labels == label)]
        theirs = whole.train.images[torch.from_numpy(whole.train.labels == label)]
        assert torch.equal(ours, theirs[:600])


def idx_folder(folder: Path, classes: int = 3, zipped: bool = True) -> Path:
    folder.mkdir(parents=True)
    for prefix, each in (("train", 20), ("t10k", 5)):
        labels = np.repeat(np.arange(classes, dtype=np.uint8), each)
        images = np.random.default_rng(0).integers(0, 256, (len(labels), 7, 7), dtype=np.uint8)
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            path = folder / f"{prefix}-{kind}-ubyte.gz"
            write_idx(path, array)
            if not zipped:
                path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
                path.unlink()
    return folder


@pytest.mark.parametrize("zipped", [True, False])
def test_idx_folder_has_digits_for_classes(tmp_path, zipped):
    data = open_data(str(idx_folder(tmp_path / "digits", zipped=zipped)), channels=3)
    assert (data.classes, data.channels) == (("0", "1", "2"), 3)
    image = data.test.load(0)
    assert image.shape == (3, 7, 7)
    assert torch.equal(image[0], image[2])


def test_broken_idx_files_are_named(tmp_path):
    folder = idx_folder(tmp_path / "digits", zipped=False)
    labels = folder / "t10k-labels-idx1-ubyte"
    labels.write_bytes(labels.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"t10k-labels.*not what its header says"):
        open_data(str(folder))
    labels.unlink()
    with pytest.raises(DataError, match="has no t10k-labels-idx1-ubyte"):
        open_data(str(folder))
    (tmp_path / "x.gz").write_bytes(gzip.compress(b"abc" * 100)[:-20])
    with pytest.raises(DataError, match=r"x\.gz"):
        read_idx(tmp_path / "x.gz")


def test_folder_a_class_is_split_about_80_to_20_and_then_the_holdout(class_folders):
    folder = class_folders("pets", {"dog": 20, "cat": 10, "eel": 2})
    data = open_data(str(folder), holdout=0.125)
    assert (data.name, data.classes, data.channels) == ("pets", ("cat", "dog", "eel"), 3)
    counts = [np.bincount(part.labels, minlength=3) for part in (data.train, data.holdout, data.test)]
    assert sum(counts).tolist() == [10, 20, 2]
    assert [int(part[2]) for part in counts] == [1, 0, 1]  # one eel is left, and it trains
    assert all((part[:2] >= 1).all() for part in counts)
    everything = paths(data.train) + paths(data.holdout) + paths(data.test)
    assert len(set(everything)) == 32
    assert [Path(path).parent.name for path in paths(data.test)] == [data.classes[i] for i in data.test.labels]
    assert data.train.load(0).shape == (3, 40, 60)


def test_train_val_and_test_folders_are_kept_apart(class_folders):
    for part, count in (("train", 4), ("val", 3), ("test", 2)):
        root = class_folders(f"set/{part}", {"a": count, "b": count}).parent
    data = open_data(str(root))
    assert [len(part) for part in (data.train, data.holdout, data.test)] == [8, 6, 4]
    assert {Path(path).parents[1].name for path in paths(data.holdout)} == {"val"}


def test_val_without_test_is_the_test(class_folders):
    for part, count in (("train", 40), ("val", 3)):
        root = class_folders(f"set/{part}", {"a": count, "b": count}).parent
    data = open_data(str(root))
    assert [len(part) for part in (data.train, data.holdout, data.test)] == [75, 5, 6]
    assert {Path(path).parents[1].name for path in paths(data.test)} == {"val"}


def write_csv(path: Path, header: list[str], rows: list[tuple[object, ...]]) -> str:
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file).writerows([header, *rows])
    return str(path)


def test_csv_paths_are_relative_to_it_and_columns_come_in_any_order(class_folders, tmp_path):
    class_folders("photos", {"x": 12})
    rows = [(i % 2 + 9, "test" if i >= 10 else "train", f"photos/x/{i:03d}.jpg", "ignored") for i in range(12)]
    data = open_data(write_csv(tmp_path / "list.csv", ["Label", "split", "path", "note"], rows), holdout=0.2)
    assert data.classes == ("9", "10")  # by value
    assert [len(part) for part in (data.train, data.holdout, data.test)] == [8, 2, 2]
    assert paths(data.test) == [str(tmp_path / "photos/x/010.jpg"), str(tmp_path / "photos/x/011.jpg")]
    assert data.test.labels.tolist() == [0, 1]
    assert data.test.load(0).shape == (3, 40, 60)


def test_csv_errors_name_file_line_and_remedy(class_folders, tmp_path):
    class_folders("photos", {"x": 3})
    file, good = tmp_path / "list.csv", ("photos/x/000.jpg", "a", "train")
    cases = [
        (
            ["file name", "label"],
            [good[:2]],
            "columns path and label, or path and labels, are needed.*file name, label",
        ),
        (["path", "label"], [good[:2], ("photos/x/001.jpg", "")], "line 3: path or label is empty"),
        (["path", "label", "split"], [good, ("photos/x/001.jpg", "b", "dev")], "line 3: split 'dev' is unknown"),
        (["path", "label", "split"], [good, ("photos/x/001.jpg", "b", "test")], "test has b, which train lacks"),
        (["path", "label"], [("x/000.jpg", "a")], "there is no file .*x/000.jpg"),
        (["path", "label"], [], "no training images"),
        (["path", "label"], [good[:2]], "single class, 'a'"),
    ]
    for header, rows, message in cases:
        with pytest.raises(DataError, match=message):
            open_data(write_csv(file, header, rows))
    file.write_bytes(b"path,label\n\xff\xfe,a\n")
    with pytest.raises(DataError, match="UTF-8"):
        open_data(str(file))


def test_folder_errors_name_the_folder(class_folders, tmp_path, picture):
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DataError, match="nothing has no folder for each class"):
        open_data(str(tmp_path / "nothing"))
    loose = tmp_path / "loose"
    loose.mkdir()
    picture().save(loose / "a.png")
    with pytest.raises(DataError, match="images but no folder for each class"):
        open_data(str(loose))
    with pytest.raises(DataError, match="single class, 'a'"):
        open_data(str(class_folders("one", {"a": 3})))
    with pytest.raises(DataError, match="class folder b, c holds no images"):
        open_data(str(class_folders("holes", {"a": 3, "b": 0, "c": 0})))
    root = class_folders("set/train", {"a": 2, "b": 2}).parent
    class_folders("set/test", {"a": 2, "z": 2})
    with pytest.raises(DataError, match="test has z, which train lacks"):
        open_data(str(root))


def test_a_class_may_be_called_train_but_splits_need_classes(class_folders):
    data = open_data(str(class_folders("vehicles", {"bus": 5, "train": 5})))
    assert data.classes == ("bus", "train")
    with pytest.raises(DataError, match="no classes to train on"):
        open_data(str(class_folders("halves", {"train": 2, "test": 2})))
    with pytest.raises(DataError, match="no classes to train on"):
        open_data(str(class_folders("untrained/val", {"a": 2, "b": 2}).parent))


def test_the_nearest_folder_is_named(class_folders, tmp_path, monkeypatch):
    folder = class_folders("photos", {"a": 2, "b": 2})
    with pytest.raises(DataError, match=f"photoz; did you mean '{folder}'"):
        open_data(str(folder.parent / "photoz"))
    monkeypatch.chdir(folder.parent)
    with pytest.raises(DataError, match="no data set or folder 'photoz'; did you mean 'photos'"):
        open_data("photoz")


def test_unknown_names_and_missing_paths(tmp_path):
    with pytest.raises(DataError, match=r"'fashion6'; did you mean 'fashion6k'"):
        open_data("fashion6")
    with pytest.raises(DataError, match="there is no /no/such/folder"):
        open_data("/no/such/folder")
    with pytest.raises(DataError, match=r"known: fashion6k, cifar10"):
        open_data("qqq")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"notes.txt is no folder, .csv or .npz file"):
        open_data(str(tmp_path / "notes.txt"))
    with pytest.raises(DataError, match=r"holdout 1\.5 is neither a share nor a number"):
        open_data("fashion6k", holdout=1.5)
    with pytest.raises(DataError, match="holdout 6000 leaves not one image of each class"):
        open_data("fashion6k", holdout=6000)
    with pytest.raises(DataError, match="channels 4"):
        open_data("fashion6k", channels=4)


@pytest.mark.parametrize("name", ["cifar10", "CIFAR-100", "mnist", "food101", "oxfordiiitpet", "fgvcaircraft", "stl10"])
def test_torchvision_sets_that_are_absent_say_how_to_get_them(tmp_path, name):
    with pytest.raises(DataError, match=r"is not in .*download"):
        open_data(name, root=tmp_path)


def test_fashion_mnist_through_torchvision_has_its_names(tmp_path):
    idx_folder(tmp_path / "FashionMNIST" / "raw", classes=10, zipped=False)
    data = open_data("FashionMNIST", root=tmp_path, holdout=0.1)
    assert data.classes == CLASSES
    assert [len(part) for part in (data.train, data.holdout, data.test)] == [180, 20, 50]
    raw = open_data(str(tmp_path / "FashionMNIST" / "raw"))
    assert raw.classes == CLASSES
    assert torch.equal(data.test.images, raw.test.images)


def test_arrays_of_torchvision_come_in_three_layouts():
    values = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)
    last = named._array(SimpleNamespace(data=values, targets=[1, 0]), "x")  # CIFAR
    first = named._array(SimpleNamespace(data=values.transpose(0, 3, 1, 2), labels=np.array([1, 0])), "x")  # SVHN
    assert torch.equal(last.images, first.images)
    assert last.images[1, 2, 3, 4] == values[1, 3, 4, 2]
    assert last.labels.tolist() == first.labels.tolist() == [1, 0]
    grey = named._array(SimpleNamespace(data=torch.from_numpy(values[..., 0]), targets=torch.tensor([1, 0])), "x")
    assert torch.equal(grey.images, last.images[:, :1])  # MNIST


@pytest.fixture
def any_size(monkeypatch):
    """The published layouts in small."""
    monkeypatch.setattr("compound.data.named._check_sizes", lambda *_: None)


@pytest.mark.usefixtures("any_size")
def test_flowers_train_on_the_union_of_train_and_val(monkeypatch):
    def flowers(root: str, split: str) -> SimpleNamespace:
        files = {"train": ["a", "b"], "val": ["c"], "test": ["d"]}[split]
        return SimpleNamespace(_image_files=files, _labels=[ord(f) % 2 for f in files], classes=["even", "odd"])

    monkeypatch.setitem(named.NAMED, "flowers102", replace(named.NAMED["flowers102"], cls=flowers))
    data = open_data("flowers102", holdout=0)
    assert (paths(data.train), paths(data.test)) == (["a", "b", "c"], ["d"])
    assert data.train.labels.tolist() == [1, 0, 1]


@pytest.mark.usefixtures("any_size")
def test_oxford_pets_through_torchvision_reads_its_lists(tmp_path, picture):
    base = tmp_path / "oxford-iiit-pet"
    (base / "images").mkdir(parents=True)
    (base / "annotations").mkdir()
    for split, count in (("trainval", 4), ("test", 2)):
        lines = []
        for i in range(count):
            picture(seed=i).save(base / "images" / f"{'ab'[i % 2]}_{split}{i}.jpg")
            lines.append(f"{'ab'[i % 2]}_{split}{i} {i % 2 + 1} 1 1")
        (base / "annotations" / f"{split}.txt").write_text("\n".join(lines))
    data = open_data("oxfordiiitpet", root=tmp_path, holdout=0)
    assert len(data.classes) == 2
    assert (data.train.labels.tolist(), data.test.labels.tolist()) == ([0, 1, 0, 1], [0, 1])
    assert data.train.load(0).shape == (3, 40, 60)


def test_subset_keeps_order_labels_and_names():
    source = ArraySource(torch.arange(5, dtype=torch.uint8).view(5, 1, 1, 1), [4, 3, 2, 1, 0], "five")
    part = subset(subset(source, [4, 2, 0]), [2, 0])
    assert (part.labels.tolist(), paths(part)) == ([4, 0], ["five[0]", "five[4]"])
    assert part.load(1).item() == 4
    with pytest.raises(DataError, match="2 labels for 5 images"):
        ArraySource(source.images, [0, 1], "five")


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_csv_may_be_separated_as_spreadsheets_of_other_languages_do_it(class_folders, tmp_path, separator):
    class_folders("photos", {"x": 12})
    rows = [("path", "label"), *((f"photos/x/{i:03d}.jpg", "a,b" if i % 2 else "c") for i in range(12))]
    (tmp_path / "list.csv").write_text("\n".join(map(separator.join, rows)))
    assert open_data(str(tmp_path / "list.csv")).classes == ("a,b", "c")
