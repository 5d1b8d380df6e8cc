"""Files of strangers under the verbs: one sentence of our own, no control character, no endless reading."""

import gzip
import io
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from compound.cli import run
from compound.data import DataError, open_data
from compound.data.idx import read_idx
from compound.terminal import LONGEST, printable, tell_error


def test_a_terminal_is_told_nothing(tmp_path: Path, capsys) -> None:
    assert printable("a\x1b[2Jb\x07\x9b1m\u202e\tc\n") == "a\\x1b[2Jb\\x07\\x9b1m\\u202e\tc\n"
    name = "evil\x1b]0;title\x07\u202e.yaml"
    (tmp_path / name).write_text("name: x\nstages: 1\n")
    assert run(["show", str(tmp_path / name)]) == 2
    (tmp_path / "named.yaml").write_text(
        'name: "red\\e[31m"\nstem: {block: conv, channels: 8}\nstages:\n- {block: conv, layers: 1, channels: 8}\n'
    )
    assert run(["show", str(tmp_path / "named.yaml")]) == 0
    told = capsys.readouterr()
    assert "\\x1b]0;title\\x07" in told.err
    for text in told:
        assert not any(ord(char) < 32 and char not in "\n\t" for char in text)
        assert not {"\x7f", "\x9b", "\u202e"} & set(text)


def test_no_error_is_endless(capsys) -> None:
    tell_error("x" * 10**6)
    assert len(capsys.readouterr().err) < LONGEST + 20


def arrays(path: Path, **given) -> Path:
    np.savez(path, **({"train_images": np.zeros((4, 8, 8), np.uint8), "train_labels": np.arange(4) % 2} | given))
    return path


def test_labels_make_no_endless_classes(tmp_path: Path, monkeypatch) -> None:
    path = arrays(tmp_path / "x.npz", train_labels=np.array([0, 1, 2, 2_000_000_000]))
    with pytest.raises(DataError, match="its labels go to 2,000,000,000"):
        open_data(str(path))
    path = arrays(tmp_path / "u.npz", train_labels=np.array([0, 1, 2, 2**64 - 1], np.uint64))
    with pytest.raises(DataError, match="its labels go to 18,446,744,073,709,551,615"):  # -1 as int64
        open_data(str(path))
    for gaps in (np.array([0, 1, 2, 999_999]), np.eye(4, 40_000, dtype=np.uint8)):  # a head of gigabytes
        with pytest.raises(DataError, match=r"has 4 images and its labels make .*,000 classes"):
            open_data(str(arrays(tmp_path / "gaps.npz", train_labels=gaps)))
    with pytest.raises(DataError, match="4 images in 21841 classes"):  # as many as ImageNet-21k may be meant
        open_data(str(arrays(tmp_path / "z.npz", train_labels=np.array([0, 1, 2, 21_840]))))
    monkeypatch.setenv("COMPOUND_MAX_CLASSES", "3")
    with pytest.raises(DataError, match="its labels go to 3"):
        open_data(str(arrays(tmp_path / "y.npz", train_labels=np.arange(4))))


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    """Eight grey images of two classes."""
    picture = io.BytesIO()
    Image.new("L", (8, 8)).save(picture, "PNG")
    with tarfile.open(tmp_path / "x-000.tar", "w") as tar:
        for number in range(8):
            for kind, data in (("png", picture.getvalue()), ("cls", str(number % 2).encode())):
                member = tarfile.TarInfo(f"{number}.{kind}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return tmp_path / "x-000.tar"


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), Path.mkdir])
def test_what_lies_beside_a_shard_is_a_regular_file_or_said(shard: Path, make, monkeypatch) -> None:
    make(shard.with_name("x-000.tar.index.json"))  # as if it were not there
    assert len(open_data(str(shard)).classes) == 2
    make(shard.with_name("classes.txt"))
    with pytest.raises(DataError, match=r"cannot read .*classes.txt: .*; give a list of names, or none"):
        open_data(str(shard))


def test_an_index_of_nothing_but_brackets_is_made_anew(shard: Path) -> None:
    shard.with_name("x-000.tar.index.json").write_text("[" * 100_000)
    assert len(open_data(str(shard)).classes) == 2


def test_classes_of_endless_digits_are_names(tmp_path: Path) -> None:
    rows = ["path,label"]
    for number, label in enumerate(("10", "9", "9" * 5000) * 9):
        Image.new("L", (8, 8), number).save(tmp_path / f"{number}.png")
        rows.append(f"{number}.png,{label}")
    (tmp_path / "x.csv").write_text("\n".join(rows))
    assert open_data(str(tmp_path / "x.csv")).classes == ("10", "9", "9" * 5000)


def test_arrays_and_idx_files_are_no_bombs(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("COMPOUND_MAX_ARRAYS", "1M")
    packed = tmp_path / "bomb.npz"
    np.savez_compressed(packed, train_images=np.zeros((2, 1000, 1000), np.uint8), train_labels=np.zeros(2, int))
    assert packed.stat().st_size < 10_000
    with pytest.raises(DataError, match="unpacks to 2,000"):
        open_data(str(packed))
    idx = tmp_path / "x-images-idx3-ubyte.gz"
    idx.write_bytes(gzip.compress(bytes(2_000_000)))
    with pytest.raises(DataError, match="more than the 1,000,000 bytes"):
        read_idx(idx)


def damaged_files(folder: Path) -> dict[str, list[str]]:
    """Words of a verb for each damaged file."""
    network = folder / "run"
    network.mkdir()
    (network / "network.yaml").write_text(
        "stem: {block: conv, channels: 8}\nstages:\n- {block: conv, layers: 1, channels: 8}\n"
    )
    (network / "run.yaml").write_text("data: [\n")
    (folder / "cut.npz").write_bytes(arrays(folder / "whole.npz").read_bytes()[:300])
    with zipfile.ZipFile(folder / "odd.npz", "w") as file:
        file.writestr("train_images.npy", b"\x93NUMPY nothing")
    (folder / "bytes.csv").write_bytes(b"path,label\n\xff\xfe,a\n")
    (folder / "quotes.csv").write_text('path,label\n"x.jpg"y,a\n')
    for suffix in ("safetensors", "pth", "onnx", "xml"):
        (folder / f"w.{suffix}").write_bytes(b"PK\x03\x04 nothing at all")
    os.mkfifo(folder / "pipe.csv")
    os.mkfifo(folder / "pipe.npz")
    os.mkfifo(folder / "pipe.onnx")
    (folder / "zero.npz").symlink_to("/dev/zero")
    (folder / "a.png").write_bytes(b"nothing")
    words = {f"{name}": ["data", "check", str(folder / name)] for name in (
        "cut.npz", "odd.npz", "bytes.csv", "quotes.csv", "pipe.csv", "pipe.npz", "zero.npz")}  # fmt: skip
    words |= {f"w.{s}": ["predict", str(folder / f"w.{s}"), str(folder / "a.png")] for s in ("safetensors", "onnx")}
    words["pipe.onnx"] = ["predict", str(folder / "pipe.onnx"), str(folder / "a.png")]
    words["run.yaml"] = ["show", str(network)]
    return words


FOREIGN = ("Error(", "Traceback", "weights_only", "numpy", "could not", "invalid literal", "0x", "UnpicklingError",
           "HeaderTooLarge", "INVALID", "codec", "site-packages", "--debug")  # fmt: skip


@pytest.mark.parametrize("name", ["cut.npz", "odd.npz", "bytes.csv", "quotes.csv", "pipe.csv", "pipe.npz", "zero.npz",
                                  "w.safetensors", "w.onnx", "pipe.onnx", "run.yaml"])  # fmt: skip
def test_damaged_files_get_one_sentence_of_our_own(name: str, tmp_path: Path, capsys) -> None:
    words = damaged_files(tmp_path)[name]
    assert run(words) in (1, 2)
    told = capsys.readouterr().err.strip()
    assert told.startswith("error: ")
    assert "\n" not in told
    assert name in told
    said = told.replace(str(tmp_path), "").replace("numpy.savez", "")
    assert not [word for word in FOREIGN if word in said], told
