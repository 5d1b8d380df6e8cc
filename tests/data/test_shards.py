"""Tar shards give what webdataset reads from them, at any address, and survive what may happen to them."""

import io
import json
import tarfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import webdataset
from PIL import Image
from webdataset.tariterators import group_by_keys, tar_file_iterator

from compound.data import Augment, DamagedImage, DataError, DataSpec, Preprocessing, loading, make_loader, open_data
from compound.data import shard_source as sources
from compound.data.decode import decode_image
from compound.data.open import read_tables
from compound.data.shards import divided, expanded, named, write_indices
from compound.errors import CompoundError
from compound.network import Inputs


def encoded(seed: int, kind: str = "PNG") -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (20 + seed % 7, 30, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def write_shard(path: Path, seeds: range) -> None:
    """Samples of two classes, written as webdataset writes them."""
    with path.open("wb") as file, webdataset.TarWriter(file) as writer:
        for seed in seeds:
            suffix = ("png", "jpg")[seed % 2]
            image = encoded(seed, {"png": "PNG", "jpg": "JPEG"}[suffix])
            writer.write({"__key__": f"a.b/{seed:04d}", suffix: image, "cls": seed % 3 % 2, "json": {"seed": seed}})


def read_by_webdataset(path: Path) -> list[dict[str, Any]]:
    with path.open("rb") as file:
        return list(group_by_keys(one | {"__url__": str(path)} for one in tar_file_iterator(file)))


@pytest.fixture
def folder(tmp_path) -> Path:
    """Three shards to train on and one to validate with, six samples each."""
    place = tmp_path / "data"
    place.mkdir()
    for number in range(3):
        write_shard(place / f"set-train-{number:02d}.tar", range(6 * number, 6 * number + 6))
    write_shard(place / "set-val-00.tar", range(100, 106))
    return place


@pytest.fixture
def root(tmp_path) -> Path:
    return tmp_path / "root"


class Ranges(BaseHTTPRequestHandler):
    """Files of `folder`, whole or in parts; `lost` lists what fails once, `whole` ignores that a part is asked for."""

    folder: Path
    lost: list[str]
    asked: list[str]
    whole = False
    tag = ""

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        file = self.folder / self.path.lstrip("/")
        if not file.is_file():
            self.send_error(404)
            return
        data, span = file.read_bytes(), self.headers.get("Range")
        if span and file.name in self.lost:
            self.lost.remove(file.name)
            self.send_error(503)
            return
        self.asked.append(f"{file.name} {span}")
        if span and not self.whole:
            start, _, end = span.removeprefix("bytes=").partition("-")
            part = data[int(start) : int(end) + 1]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{int(start) + len(part) - 1}/{len(data)}")
        else:
            part = data
            self.send_response(200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(part)))
        if self.tag:
            self.send_header("ETag", self.tag)
        self.end_headers()
        if body:
            self.wfile.write(part)

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def served(folder) -> Iterator[tuple[str, type[Ranges]]]:
    """The folder's address, and what answers there."""
    handler = type("One", (Ranges,), {"folder": folder, "lost": [], "asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", handler
        server.shutdown()
        thread.join()


TRAIN = "set-train-{00..02}.tar"


def test_samples_are_those_that_webdataset_reads(folder, root):
    train = open_data(f"{folder}/{TRAIN}", holdout=0, root=root)
    expected = [
        (sample["__key__"], sample.get("png", sample.get("jpg")), int(sample["cls"]))
        for number in range(3)
        for sample in read_by_webdataset(folder / f"set-train-{number:02d}.tar")
    ]
    assert len(expected) == 18
    assert train.classes == ("0", "1")
    tables = read_tables(DataSpec(f"{folder}/{TRAIN}", root=root))
    assert tables.test is None
    for index, (key, data, label) in enumerate(expected):
        assert tables.train.path(index).startswith(f"{folder}/set-train-{index // 6:02d}.tar/{key}.")
        assert tables.train.labels[index] == label
        assert torch.equal(tables.train.load(index), decode_image(data, 3, "it"))
    # The parts that are split off are the same images.
    places = {tables.train.path(i): i for i in range(18)}
    for part in (train.train, train.test):
        for index in range(len(part)):
            place = places[part.path(index)]
            assert part.labels[index] == tables.train.labels[place]
            assert torch.equal(part.load(index), tables.train.load(place))


def test_parts_names_and_classes(folder, root):
    data = open_data(f"{folder}/set-{{train-{{00..02}},val-00}}.tar", holdout=0.2, root=root)
    assert (data.name, len(data.train) + len(data.holdout), len(data.test)) == ("set", 18, 6)
    assert "set-val-00.tar" in data.test.path(0)
    (folder / "classes.txt").write_text("cat\ndog\nelk\n")
    whole = open_data(str(folder), root=root)  # a folder of shards
    assert (whole.name, len(whole.test), whole.classes) == ("data", 6, ("cat", "dog"))
    joined = data.without_holdout().train
    assert sorted(joined.path(i) for i in range(18)) == sorted(
        read_tables(DataSpec(f"{folder}/{TRAIN}", root=root)).train.path(i) for i in range(18)
    )
    for index in (0, 17):
        assert joined.load(index).shape[0] == 3
    (folder / "classes.txt").write_text("cat\n")
    with pytest.raises(DataError, match=r"classes\.txt names 1 classes, and labels are 0, 1"):
        open_data(str(folder), root=root)


@pytest.mark.parametrize(
    ("spec", "shards", "name"),
    [
        ("a/x-{08..11}.tar", ["a/x-08.tar", "a/x-09.tar", "a/x-10.tar", "a/x-11.tar"], "x"),
        ("s3://b/birds/{000..001}.tar", ["s3://b/birds/000.tar", "s3://b/birds/001.tar"], "birds"),
        ("h/i-{train-{0..1},val-0}.tar", ["h/i-train-0.tar", "h/i-train-1.tar", "h/i-val-0.tar"], "i"),
        ("y.tar", ["y.tar"], "y"),
    ],
)
def test_braces(spec, shards, name):
    assert expanded(spec) == shards
    assert named(spec) == name


def test_which_shards_are_which_part():
    train, val, test = "d/train/0.tar", "d/val/0.tar", "d/i-test-1.tar"
    assert divided([train, val, test]) == {"train": [train], "holdout": [val], "test": [test]}
    assert divided(["validation/a-0.tar", "validation/a-1.tar"]) == {
        "train": ["validation/a-0.tar", "validation/a-1.tar"]
    }
    assert divided(["retrained/0.tar"]) == {"train": ["retrained/0.tar"]}
    with pytest.raises(DataError, match="name shards to train on too"):
        divided([val, test])


def batches(train, *, workers=0, rank=0, world=1, start_batch=0):
    loader = make_loader(
        train, Preprocessing(16, 3, Inputs()), 4 // world, augment=Augment(crop="inception"), shuffle=True, seed=3,
        workers=workers, rank=rank, world=world, start_batch=start_batch,
    )  # fmt: skip
    return [(batch.indices, batch.images, batch.labels) for batch in loader]


def same(first, second):
    return len(first) == len(second) and all(map(torch.equal, first, second))


@pytest.mark.long
def test_the_network_gives_the_same_batches_whatever_the_workers_and_the_place(folder, root, served):
    address, handler = served
    local = open_data(f"{folder}/{TRAIN}", root=root)
    remote = open_data(f"{address}/{TRAIN}", root=root)
    whole = batches(local.train)
    assert all(same(*pair) for pair in zip(whole, batches(remote.train, workers=2), strict=True))
    assert all(same(*pair) for pair in zip(whole[2:], batches(remote.train, start_batch=2), strict=True))
    shares = [batches(remote.train, rank=rank, world=2) for rank in (0, 1)]
    for (indices, _, _), first, second in zip(whole, *shares, strict=True):
        assert sorted(indices.tolist()) == sorted([*first[0].tolist(), *second[0].tolist()])
    # One request an image, of its own bytes and the header before them.
    handler.asked.clear()
    remote.train.load(0)
    (asked,) = handler.asked
    start, end = map(int, asked.rpartition("=")[2].split("-"))
    size = int(remote.train._places[0, 2])
    assert end + 1 - start == 512 + size


def test_lost_answers_are_asked_for_again(folder, root, served, monkeypatch):
    address, handler = served
    monkeypatch.setattr(sources, "WAITS", (0.0, 0.0))
    train = open_data(f"{address}/{TRAIN}", holdout=0, root=root).train
    expected = batches(open_data(f"{folder}/{TRAIN}", holdout=0, root=root).train)
    handler.lost += ["set-train-00.tar", "set-train-01.tar"]
    assert all(same(*pair) for pair in zip(expected, batches(train), strict=True))
    assert handler.lost == []
    handler.lost += ["set-train-00.tar"] * 3
    with pytest.raises(CompoundError, match=r"cannot read http.*tar: 503.*compound resume goes on"):
        train.load(int(np.flatnonzero(train._places[:, 0] == 0)[0]))
    handler.lost += ["set-train-00.tar"] * 99
    with (
        pytest.raises(CompoundError, match=r"^cannot read http.*; compound resume goes on with a run when it can be$"),
        loading(),
    ):
        batches(train, workers=1)


def test_a_server_without_ranges_is_named(folder, root, served):
    address, handler = served
    train = open_data(f"{address}/{TRAIN}", root=root).train
    handler.whole = True
    with pytest.raises(CompoundError, match="answers range requests"):
        train.load(0)


@pytest.mark.long
def test_an_index_is_made_once_and_read_from_beside_the_shard(folder, root, served, capfd):
    address, handler = served
    open_data(f"{address}/{TRAIN}", root=root)
    assert "3 of 3 shards have no index" in capfd.readouterr().err
    handler.asked.clear()
    open_data(f"{address}/{TRAIN}", root=root)
    assert all(one.endswith("None") for one in handler.asked)  # their sizes, and the try for an index
    told = write_indices(f"{folder}/{TRAIN}", None, lambda _: None)
    assert (told["shards"], told["images"], told["left_out"]) == (3, 18, {})
    assert len(list(folder.glob("*.tar.index.json"))) == 3
    capfd.readouterr()
    open_data(f"{address}/{TRAIN}", root=root / "other")
    assert capfd.readouterr().err == ""
    # An index of another shard, or none at all, is not used.
    write_shard(folder / "set-train-00.tar", range(7))
    (folder / "set-train-01.tar.index.json").write_text("{")
    assert len(read_tables(DataSpec(f"{folder}/{TRAIN}", root=root)).train) == 19


@pytest.mark.parametrize("beside", [False, True], ids=["kept here", "beside the shard"])
def test_a_shard_written_again_is_read_again(folder, root, beside):
    """Other labels in as many bytes: tar pads what it holds."""
    shard = folder / "set-train-00.tar"
    before = shard.stat().st_size
    if beside:
        write_indices(f"{folder}/{TRAIN}", None, lambda _: None)
    first = read_tables(DataSpec(f"{folder}/{TRAIN}", root=root)).train
    labels, version = first.labels[:6].tolist(), first.version()
    with shard.open("wb") as file, webdataset.TarWriter(file) as writer:
        for seed in range(6):
            suffix = ("png", "jpg")[seed % 2]
            image = encoded(seed, {"png": "PNG", "jpg": "JPEG"}[suffix])
            writer.write({"__key__": f"a.b/{seed:04d}", suffix: image, "cls": 1 - seed % 3 % 2, "json": {"seed": seed}})
    assert shard.stat().st_size == before
    again = read_tables(DataSpec(f"{folder}/{TRAIN}", root=root)).train
    assert again.labels[:6].tolist() == [1 - label for label in labels]
    assert again.version() != version


def test_a_shard_elsewhere_is_known_by_its_tag(folder, root, served, capfd):
    address, handler = served
    handler.tag = '"first"'
    open_data(f"{address}/{TRAIN}", root=root)
    assert "3 of 3 shards have no index" in capfd.readouterr().err
    open_data(f"{address}/{TRAIN}", root=root)
    assert capfd.readouterr().err == ""
    handler.tag = '"second"'
    open_data(f"{address}/{TRAIN}", root=root)
    assert "3 of 3 shards have no index" in capfd.readouterr().err


def test_an_index_that_lies_is_found_out(folder, root):
    write_indices(f"{folder}/{TRAIN}", None, lambda _: None)
    file = folder / "set-train-00.tar.index.json"
    index = json.loads(file.read_text())
    index["offsets"][2] += 512
    file.write_text(json.dumps(index))
    train = read_tables(DataSpec(f"{folder}/{TRAIN}", root=root)).train
    train.load(1)
    with pytest.raises(DamagedImage, match="another member there; run `compound data index`"):
        train.load(2)


def members(path: Path) -> list[tarfile.TarInfo]:
    with tarfile.open(path) as tar:
        return tar.getmembers()


Damage = Callable[[bytearray, dict[str, tarfile.TarInfo]], bytes]


def of(found: dict[str, tarfile.TarInfo], suffix: str) -> tarfile.TarInfo:
    return next(member for name, member in found.items() if name.startswith("a.b/0002") and name.endswith(suffix))


def no_header(data: bytearray, found: dict[str, tarfile.TarInfo]) -> bytes:
    start = of(found, ".cls").offset_data - 512
    data[start : start + 512] = b"\xff" * 512
    return bytes(data)


def no_attributes(data: bytearray, found: dict[str, tarfile.TarInfo]) -> bytes:
    """What pax writes before a member's own header; the name is there too."""
    start = of(found, ".cls").offset
    data[start : start + 512] = b"\xff" * 512
    return bytes(data)


def no_pixels(data: bytearray, found: dict[str, tarfile.TarInfo]) -> bytes:
    image = of(found, ".png")
    data[image.offset_data : image.offset_data + image.size] = b"\xff" * image.size
    return bytes(data)


def cut(data: bytearray, found: dict[str, tarfile.TarInfo]) -> bytes:
    return bytes(data[: of(found, ".png").offset_data + 100])


def cut_between(data: bytearray, found: dict[str, tarfile.TarInfo]) -> bytes:
    return bytes(data[: min(of(found, suffix).offset for suffix in (".png", ".cls"))])


@pytest.mark.parametrize(
    ("damage", "images", "bad", "left_out"),
    [
        (no_header, 5, [], ["no tar header can be read there", "it has no .cls"]),
        (no_pixels, 6, [2], []),
        (no_attributes, 6, [], ["no tar header can be read there"]),
        (cut, 3, [2], ["the shard is cut short"]),
        (cut_between, 2, [], ["the shard has no end mark, so it may be cut short"]),
    ],
    ids=["header", "pixels", "attributes", "cut", "cut between"],
)
def test_damaged_members_are_left_out_and_named(folder, root, damage: Damage, images, bad, left_out):
    shard = folder / "set-train-00.tar"
    shard.write_bytes(damage(bytearray(shard.read_bytes()), {one.name: one for one in members(shard)}))
    data = read_tables(DataSpec(str(shard), root=root))
    assert len(data.train) == images
    assert list(data.left_out.values()) == left_out
    assert all(str(shard) in what for what in data.left_out)
    for index in range(images):
        if index in bad:
            with pytest.raises(DamagedImage):
                data.train.load(index)
        else:
            assert data.train.load(index).shape[0] == 3


def test_what_is_no_shard_is_refused(folder, root, tmp_path):
    (tmp_path / "text.tar").write_text("no tar at all" * 100)
    (tmp_path / "zip.tar").write_bytes(b"\x1f\x8b" + bytes(100))
    for spec, said in {
        f"{tmp_path}/text.tar": "holds no pair of an image and a .cls",
        f"{tmp_path}/zip.tar": "unpack it with gunzip",
        f"{tmp_path}/x.tar.gz": "unpack it with gunzip",
        f"{folder}/set-train-{{00..05}}.tar": "cannot read the shards from",
        f"{folder}/set-train-{{00..05.tar": "a brace without its other",
        f"{folder}/set-train-{{00,00}}.tar": "twice; name each shard once",
        "pipe:cat x.tar": "give the shards' addresses",
        "nowhere://x/y.tar": "use https://, s3://, gs:// or a path",
    }.items():
        with pytest.raises(DataError, match=said):
            open_data(spec, root=root)
