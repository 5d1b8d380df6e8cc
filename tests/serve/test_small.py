"""Small images of small networks: decoded without a thread, answered by the short way, with the same digits and bounds."""

import asyncio
import io
import struct
import threading
import zlib

import h11
import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from compound.data import decode
from compound.data.decode import decode_image
from compound.data.errors import DamagedImage
from compound.data.survey import FEW, is_small, is_small_jpeg
from compound.serve.batching import hand_out
from compound.serve.models import Loaded
from compound.serve.protocol import JoinedAnswers
from tests.serve.conftest import Running


def encoded(kind: str, side: int = 40, mode: str = "RGB", **options: object) -> bytes:
    rng = np.random.default_rng(side)
    image = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8)).resize((side, side)).convert(mode)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def sideways() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded("JPEG", exif=exif)


def with_text() -> bytes:
    text = PngInfo()
    text.add_text("bomb", "x" * 1_000_000, zip=True)
    return encoded("PNG", pnginfo=text)


def resized_header(data: bytes, side: int) -> bytes:
    """A PNG that says it is larger."""
    head = b"IHDR" + struct.pack(">II", side, side) + data[24:29]
    return data[:12] + head + struct.pack(">I", zlib.crc32(head)) + data[33:]


def two_frames(data: bytes) -> bytes:
    at = data.index(b"\xff\xc0")
    frame = data[at : at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")]
    return data[:at] + frame + data[at:]


SMALL = {
    "jpeg": encoded("JPEG"), "grey jpeg": encoded("JPEG", mode="L"), "odd jpeg": encoded("JPEG", 33, subsampling=2),
    "progressive": encoded("JPEG", progressive=True), "png": encoded("PNG"), "palette": encoded("PNG", mode="P"),
}  # fmt: skip
NOT = {
    "jpeg on its side": sideways(), "cmyk": encoded("JPEG", mode="CMYK"), "many pixels": encoded("JPEG", 300),
    "png of many pixels": resized_header(encoded("PNG"), 257), "unpacked text": with_text(), "gif": encoded("GIF"),
    "two frames": two_frames(encoded("JPEG")), "many scans": encoded("JPEG") + 16 * b"\xff\xda", "nothing": b"",
    "many bytes": encoded("PNG")[:8] + b"\0" * FEW, "many comments": b"\xff\xd8\xff" + 99 * b"\xfe\0\x02\xff",
    "cut": encoded("JPEG")[:30], "cut in a frame": encoded("JPEG").partition(b"\xff\xc0")[0] + b"\xff\xc0\0\x11\x08",
    "a profile": encoded("JPEG", icc_profile=b"x" * 400),
}  # fmt: skip


@pytest.mark.parametrize("kind", [*SMALL, *NOT])
def test_what_is_decoded_at_once_is_small_and_plain(kind: str) -> None:
    assert is_small({**SMALL, **NOT}[kind]) == (kind in SMALL)


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize("channels", [1, 3])
def test_small_ones_have_the_pixels_of_the_long_way(kind: str, channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    found = decode_image(SMALL[kind], channels, kind)
    looked = []
    monkeypatch.setattr(decode, "is_small_jpeg", lambda _: looked.append(kind))
    assert torch.equal(decode_image(SMALL[kind], channels, kind), found)
    assert looked


def test_bounds_hold_for_small_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_small_jpeg(SMALL["progressive"])
    with pytest.raises(DamagedImage, match="more than 1,000 pixels"):
        decode_image(SMALL["jpeg"], 3, "x", limit=1000)
    monkeypatch.setenv("COMPOUND_MAX_SCANS", "3")
    with pytest.raises(DamagedImage, match="more than 3 scans"):
        decode_image(SMALL["progressive"], 3, "x")


def test_head_and_body_are_sent_together() -> None:
    connection = JoinedAnswers(h11.SERVER)
    connection.receive_data(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    connection.next_event()
    headers = [(b"content-length", b"2")]
    assert connection.send(h11.Response(status_code=200, headers=headers, reason=b"OK")) == b""
    assert (connection.send(h11.Data(data=b"hi")) or b"").endswith(b"\r\n\r\nhi")
    assert connection.send(h11.EndOfMessage()) == b""


def test_a_loop_is_woken_once_for_all_its_answers() -> None:
    async def ask() -> tuple[list[object], int]:
        loop, woken = asyncio.get_running_loop(), []
        answers = [loop.create_future() for _ in range(4)]
        answers[3].cancel()
        wake = loop.call_soon_threadsafe
        loop.call_soon_threadsafe = lambda *given: (woken.append(1), wake(*given))  # type: ignore[method-assign, assignment, return-value]
        told = [(answers[0], 1), (answers[1], 2), (answers[2], DamagedImage("x", "y")), (answers[3], 4)]
        thread = threading.Thread(target=hand_out, args=(told,))
        thread.start()
        found = await asyncio.gather(*answers[:3], return_exceptions=True)
        thread.join()
        return found, len(woken)

    found, woken = asyncio.run(ask())
    assert found[:2] == [1, 2]
    assert isinstance(found[2], DamagedImage)
    assert woken == 1


@pytest.mark.parametrize(("waiting", "taken"), [(1, 1), (3, 3), (5, 4), (6, 6), (9, 8), (17, 16), (24, 24), (32, 32)])
def test_a_batch_is_no_size_that_would_be_mostly_empty(waiting: int, taken: int) -> None:
    class Sized:
        sizes = (1, 4, 8, 16)

    loaded = Loaded(Sized(), None, 32, "torch", "fp32", None, "cpu")  # type: ignore[arg-type]
    assert loaded.fitting(waiting) == taken


def test_the_short_way_says_what_the_long_one_says(server: Running) -> None:
    for body in (SMALL["jpeg"], b"", b"no image", SMALL["jpeg"][:300]):
        for query in ("", "?top=0"):
            short, long = (server.post(path + query, body) for path in ("/predict", "/models/tiny/predict"))
            assert (short.status, short.body) == (long.status, long.body)
    assert server.post("/predict?model=x", SMALL["png"]).json() == {"error": "there is no model 'x'; there are tiny"}
    assert server.get("/predict").status == 405
    counted = server.get("/metrics").body.decode()
    assert 'compound_requests_total{path="/predict",status="200"}' in counted
    assert 'compound_requests_total{path="/predict",status="422"}' in counted
