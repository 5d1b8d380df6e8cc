"""Frames out of a stream of JPEG images, against the images that went in."""

import io
import random
from pathlib import Path

import pytest
from PIL import Image

from compound.deploy.predict import find_images
from compound.deploy.stream import frames


def jpeg(number: int, progressive: bool = False, preview: bool = False) -> bytes:
    """Noise, which fills the scan with stuffed bytes; with `preview` another JPEG lies in its APP1 segment."""
    rng = random.Random(number)
    image = Image.frombytes("RGB", (40 + number, 30), rng.randbytes((40 + number) * 30 * 3))
    file = io.BytesIO()
    exif = b"Exif\x00\x00" + jpeg(number + 1) if preview else b""
    image.save(file, "JPEG", quality=95, progressive=progressive, exif=exif, restart_marker_rows=2)
    return file.getvalue()


@pytest.mark.parametrize("read", [1, 7, 1 << 16])
def test_every_frame_and_nothing_else(read: int) -> None:
    sent = [jpeg(0), jpeg(1, progressive=True), jpeg(2, preview=True), jpeg(3)]
    between = [b"", b"--boundary\r\nContent-Type: image/jpeg\r\n\r\n", b"\x00\xff\x00", b"RIFF....AVI ", b"\xff"]
    stream = b"".join(junk + frame for junk, frame in zip(between, [*sent, b""], strict=True))
    assert list(frames(io.BytesIO(stream), read)) == sent


def test_a_frame_that_is_cut_short_costs_no_other() -> None:
    one, two = jpeg(4), jpeg(5)
    found = list(frames(io.BytesIO(one[:-40] + two + one[:90])))
    assert found == [one[:-40], two, one[:90]]
    assert list(frames(io.BytesIO(b"no image at all"))) == []


def test_patterns_find_files(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("a/2.jpg", "a/1.jpg", "a/b/3.jpg", "a/notes.txt"):
        (tmp_path / name).touch()
    assert find_images([tmp_path / "a" / "*.jpg"]) == [tmp_path / "a/1.jpg", tmp_path / "a/2.jpg"]
    assert find_images([tmp_path / "**" / "*.jpg"])[-1] == tmp_path / "a/b/3.jpg"
