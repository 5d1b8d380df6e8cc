"""What photos cost the server while they are decoded and wait: bytes, not a number of them."""

import asyncio
import io
import os
import threading
import time
from pathlib import Path

import pytest
import torch
from PIL import Image

from benchmarks.serving.client import Client, Reply
from compound.data.decode import BYTES_OF_JPEG, BYTES_OF_OTHERS, look
from compound.serve import Limits
from compound.serve.decoding import Decoders
from tests.serve.conftest import Running, Start

SIDE = 2400  # px


def photo(side: int, kind: str = "JPEG") -> bytes:
    file = io.BytesIO()
    Image.effect_noise((side // 8, side // 8), 60).convert("RGB").resize((side, side)).save(file, kind)
    return file.getvalue()


def resident(name: str = "VmRSS") -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name))


@pytest.mark.long
@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="the peak of memory is counted by Linux")
def test_maps_that_wait_hold_no_whole_photos(start: Start, weights: Path) -> None:
    """Twenty photos of 5.8 megapixels, 350 MB once decoded, wait for a network that is busy."""
    server = start({"tiny": weights}, Limits(decoding=100_000_000))
    data, busy = photo(SIDE), threading.Event()
    assert server.post("/explain", data).status == 200
    server.models["tiny"].batcher.call(busy.wait)
    Path("/proc/self/clear_refs").write_text("5")
    before = resident()
    replies = asyncio.run(together(server, data, 20, busy))
    assert [one.status for one in replies] == [200] * 20
    assert len({one.body for one in replies}) == 1
    assert resident("VmHWM") - before < 100_000_000 + 3 * 20 * len(data)  # bodies are held and copied


async def together(server: Running, data: bytes, count: int, busy: threading.Event) -> list[Reply]:
    clients = [Client(server.port) for _ in range(count)]
    asked = [asyncio.create_task(client.post("/explain", data)) for client in clients]
    batcher, deadline = server.models["tiny"].batcher, time.monotonic() + 60
    while len(batcher._jobs) < count and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
    busy.set()
    replies = await asyncio.gather(*asked)
    for client in clients:
        await client.close()
    return replies


class Slow:
    """Counts the bytes that are admitted at once."""

    resolution = 8

    def __init__(self) -> None:
        self.inside = self.most = 0
        self.lock = threading.Lock()

    def decode(self, data: bytes, name: str, pixels: int, seen: object) -> torch.Tensor:
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        time.sleep(0.02)
        with self.lock:
            self.inside -= 1
        return torch.zeros(3, 8, 8, dtype=torch.uint8)


def test_threads_wait_for_bytes(monkeypatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    data, network = photo(64), Slow()
    size = look(data).bytes()
    decoders = Decoders(Limits(decoding=3 * size + 1))

    async def ask() -> None:
        await asyncio.gather(*(decoders.decode(network, data, number) for number in range(24)))

    asyncio.run(ask())
    decoders.close()
    assert (network.most, decoders.largest, decoders.used) == (3, 3 * size, 0)


def test_an_image_beyond_the_number_is_refused(start: Start, weights: Path) -> None:
    server = start({"tiny": weights}, Limits(decoding=1_000_000))
    for path in ("/predict", "/explain"):
        reply = server.post(path, photo(400))
        assert reply.status == 422
        assert "decoding it may take 1,920,000 bytes, and 1,000,000 are allowed" in reply.json()["error"]
    assert server.post("/explain", photo(100)).status == 200


def test_what_decoding_takes_follows_from_the_first_bytes() -> None:
    jpeg, png = photo(64), photo(64, "PNG")
    assert look(jpeg[:1000]).bytes() == look(jpeg).bytes() == BYTES_OF_JPEG * 64**2
    assert look(png).bytes() == BYTES_OF_OTHERS * 64**2
    assert look(b"nothing").bytes() == 0  # refused with its own sentence
    assert look(jpeg[:2] + b"\xff" * 2**20 + jpeg[2:], 10_000).bytes(10_000) == BYTES_OF_OTHERS * 10_000
