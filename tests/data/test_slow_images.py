"""Images that are slow on purpose, and files that are none: refused, or decoded in a process that can be ended."""

import io
import os
import struct
import time
import tracemalloc

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.attack.images import SLOW, encoded, plain_ppm, slow_jpeg
from compound.bounds import bound
from compound.data import DamagedImage, DamageLog, FileSource, Preprocessing, decode_image, make_loader
from compound.data.guard import GUARD
from compound.data.survey import SMALL, is_usual, scans
from compound.errors import UsageError
from compound.zoo import ZOO


@pytest.fixture(autouse=True)
def ended_guard():
    yield
    GUARD.close()


def test_a_decoder_whose_pipe_a_forked_process_holds_is_ended(monkeypatch):
    monkeypatch.setattr("compound.data.guard.PATIENCE", 0.1)
    process = GUARD._running(5.0)
    held = os.dup(process.stdin.fileno())
    GUARD.close()
    os.close(held)
    assert process.returncode == -9


def test_a_jpeg_of_33000_scans_costs_nothing() -> None:
    """27 s of processor time where nobody counts."""
    data = slow_jpeg(4000, 33_000)
    assert len(data) < 1.1e6
    begun = time.process_time()
    with pytest.raises(DamagedImage, match="more than 500 scans"):
        decode_image(data, 3, "slow.jpg")
    assert time.process_time() - begun < 0.1


def test_scans_are_counted_up_to_the_end_of_the_image() -> None:
    data = slow_jpeg(64, 20)
    assert scans(data, 500) == scans(data, 20) == 21
    assert scans(data, 5) == 6
    comment = b"\xff\xfe" + (2 + 4000).to_bytes(2, "big") + b"\xff\xda" * 2000
    assert scans(data[:2] + comment + data[2:] + b"\xff\xda" * 2000, 500) == 21  # a preview, and what a phone appends


def test_more_scans_than_usual_are_decoded_by_another_process() -> None:
    """A process started in a moment and asked again: no torch in it."""
    data = slow_jpeg(64, 100)
    assert (decode_image(data, 3, "x") == 128).all()
    first = GUARD._process
    assert decode_image(data, 1, "x").shape == (1, 64, 64)
    assert first is not None
    assert GUARD._process is first


def saved(image: Image.Image, kind: str) -> bytes:
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def test_who_decodes_changes_no_pixel(picture, monkeypatch) -> None:
    """What is not usual is decoded alike by this process where it may be ended."""
    monkeypatch.setattr("compound.data.survey.SMALL", 10_000)
    jpeg, ppm = saved(picture(), "JPEG"), saved(picture(), "PPM")
    long = jpeg[:2] + b"\xff" * 20_000 + jpeg[2:]
    commented = ppm[:2] + b"\n#" + b"a" * 20_000 + ppm[2:]
    for data in (long, commented):
        assert not is_usual(data)
        assert torch.equal(decode_image(data, 3, "x"), decode_image(data, 3, "x", alone=True))
    assert torch.equal(decode_image(commented, 3, "x"), decode_image(ppm, 3, "x"))


@pytest.mark.parametrize("name", SLOW)
def test_slow_files_are_unusual(name: str) -> None:
    assert not is_usual(SLOW[name](2**20))


def test_ordinary_files_need_no_other_process(monkeypatch) -> None:
    monkeypatch.setattr("compound.data.decode.GUARD", None)  # not asked
    for kind in ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM"):
        assert decode_image(encoded(kind), 3, kind).shape == (3, 64, 64)
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (450, 450, 3), dtype=np.uint8))
    for kind in ("PNG", "BMP", "TIFF"):
        assert len(data := saved(noise, kind)) > SMALL
        assert decode_image(data, 3, kind).shape == (3, 450, 450)


@pytest.mark.long
def test_a_decoder_that_overruns_is_ended_and_the_next_image_read(monkeypatch) -> None:
    monkeypatch.setenv("COMPOUND_MAX_DECODE", "300ms")
    begun = time.process_time()
    with pytest.raises(DamagedImage, match=r"more than 0.3 s of processor time"):
        decode_image(plain_ppm(1100), 3, "slow.ppm")
    assert decode_image(plain_ppm(60), 3, "fine.ppm").shape == (3, 60, 60)
    assert time.process_time() - begun < 0.3  # of this process


@pytest.mark.long
def test_loading_leaves_slow_images_out(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("COMPOUND_MAX_DECODE", "200ms")
    (tmp_path / "slow.ppm").write_bytes(plain_ppm(1100))
    (tmp_path / "scans.jpg").write_bytes(slow_jpeg(64, 501))
    (tmp_path / "good.png").write_bytes(encoded("PNG"))
    paths = [tmp_path / name for name in ("slow.ppm", "good.png", "scans.jpg")]
    log, network = DamageLog(1.0), ZOO["efficientnet-b0"].with_(resolution=16)
    for workers in (0, 1):
        (batch,) = make_loader(FileSource(paths, [0, 1, 2], 3), Preprocessing.of(network), 3, workers=workers)
        log.add(batch)
        assert batch.labels.tolist() == [1]
    assert [path.rpartition("/")[2] for path in log.damaged] == ["slow.ppm", "scans.jpg"]


def test_a_file_of_warnings_says_nothing(capfd) -> None:
    """Pillow warns of each tag of a TIFF that points behind its end: the terminal is not the file's to fill."""
    fields = b"".join(
        tag.to_bytes(2, "little") + b"\3\0" + b"\0\0\0\1" + b"\x08\0\0\0" for tag in range(40_000, 40_100)
    )
    with pytest.raises(DamagedImage):
        decode_image(b"II*\0\x08\0\0\0" + (100).to_bytes(2, "little") + fields + bytes(4), 3, "x.tif")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["pipe.jpg", "device.jpg", "large.jpg", "a\0b.jpg", "folder.jpg"])
def test_only_regular_files_of_a_bounded_size_are_read(name: str, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("COMPOUND_MAX_IMAGE", "1MB")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "device.jpg").symlink_to("/dev/zero")
    (tmp_path / "folder.jpg").mkdir()
    with (tmp_path / "large.jpg").open("wb") as file:
        file.truncate(10**12)
    path = f"{tmp_path}/{name}"
    with pytest.raises(DamagedImage, match=r"no regular file|1,000,000 bytes|zero byte"):
        FileSource([path], [0], 3).load(0)


def test_a_bound_that_is_no_quantity_is_said(monkeypatch) -> None:
    monkeypatch.setenv("COMPOUND_MAX_DECODE", "long")
    with pytest.raises(UsageError, match="COMPOUND_MAX_DECODE 'long' is not a time"):
        bound("COMPOUND_MAX_DECODE")


def tagged(count: int, size: int) -> bytes:
    """A TIFF, or EXIF, of so many tags, each of which is the same `size` bytes."""
    start = 10 + 12 * count + 4
    tags = b"".join(struct.pack("<HHII", number, 7, size, start) for number in range(1000, 1000 + count))
    return b"II*\0" + struct.pack("<IH", 8, count) + tags + bytes(4 + size)


def with_exif(exif: bytes, kind: str) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((16, 16), 50).save(file, kind, exif=exif)
    return file.getvalue()


def test_tags_that_are_the_same_bytes_are_not_copied_for_each() -> None:
    """40 kB that would become 20 MB, or, of 16 MB, more than any machine has."""
    bomb = tagged(1500, 20_000)
    filled = with_exif(b"Exif\0\0" + bomb, "JPEG").replace(b"\xff\xe1", b"\xff\xff\xe1", 1)
    for data in (bomb, b"II\0*" + bomb[4:], with_exif(b"Exif\0\0" + bomb, "JPEG"), filled, b"\0\0\0\x20ftypavif"):
        assert not is_usual(data)
    for kind in ("PNG", "WEBP"):
        data = with_exif(bomb, kind)
        assert is_usual(data)  # its tags are read only when somebody asks for them
        tracemalloc.start()
        assert decode_image(data, 1, "x").shape == (1, 16, 16)
        assert tracemalloc.get_traced_memory()[1] < 2e6
        tracemalloc.stop()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_honest_tags_are_usual_and_turn_the_image(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a photo"
    file = io.BytesIO()
    Image.effect_noise((16, 24), 50).save(file, kind, exif=exif)
    assert is_usual(file.getvalue())
    assert decode_image(file.getvalue(), 1, "x").shape == (1, 16, 24)  # 16 wide and 24 high, on its side
