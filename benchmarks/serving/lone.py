"""A lone image, and many clients, against what the network itself takes. Writes benchmarks/results/lone.json.

Every network is timed in rounds: the plain forward pass of one image, what `predict` computes of it, and a request of
the server by a lone client, one after the other. Then many clients ask for classes, an image or `BATCH` a request, and
their images a second are compared with the network's own at its best batch.
"""

import asyncio
import io
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.serving.client import Client
from benchmarks.serving.subject import serving, write_model
from compound.cost import cost
from compound.inference import Eager, chunk_size, in_chunks
from compound.nn import evaluating, load_weights

NETWORKS = ("efficientnet-b0", "efficientnet-mini")
CLIENTS, BATCH = 32, 32
HEAD = b'--b\r\nContent-Disposition: form-data; name="i"; filename="i"\r\n\r\n'


def measure(folder: Path, seconds: float, seed: int = 0) -> dict[str, Any]:
    """For each network of `NETWORKS`; every figure has about so many seconds."""
    return {name: one_network(folder / name, name, seconds, seed) for name in NETWORKS}


def one_network(folder: Path, name: str, seconds: float, seed: int) -> dict[str, Any]:
    place = write_model(folder, name, seed)
    model = load_weights(place)[0].eval()
    eager, chunk = Eager(model, torch.device("cpu")), chunk_size(model.network, torch.device("cpu"))
    side = model.network.resolution
    rng = np.random.default_rng(seed)
    pixels = torch.from_numpy(rng.integers(0, 256, (chunk, eager.channels, side, side), dtype=np.uint8))

    def plain() -> None:
        with torch.inference_mode():
            images = eager.preprocessing.normalise(pixels[:1]).contiguous(memory_format=torch.channels_last)
            model(images)

    with evaluating(model), serving(place, folder / "log", "--device", "cpu") as server:
        eager.find_sizes()
        photos = [photo_of(rng, side, eager.channels) for _ in range(8)]
        value = alone(plain, lambda: in_chunks(eager, pixels[:1], torch.arange(1), chunk), server.port, photos, seconds)
        best = best_batch(eager, pixels, seconds)
        found = {
            "macs": cost(model.network).macs, "chunk": chunk, "sizes": list(eager.sizes), **value,
            "own_images_per_second": best, "clients": CLIENTS,
        }  # fmt: skip
        for many in (1, BATCH):
            rate = asyncio.run(asked(server.port, photos, many, seconds))
            found[f"images_per_second_{many}_a_request"] = rate
            found[f"share_of_own_{many}_a_request"] = rate / max(best.values())
    print(name, found, flush=True)
    return found


def photo_of(rng: np.random.Generator, side: int, channels: int) -> bytes:
    """A JPEG of the network's own size, so that what is compared is the server and not the decoder."""
    coarse = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)).resize((side, side), 3)
    file = io.BytesIO()
    coarse.convert("RGB" if channels == 3 else "L").save(file, "JPEG", quality=90)
    return file.getvalue()


def alone(
    plain: Callable[[], object], ours: Callable[[], object], port: int, photos: Sequence[bytes], seconds: float
) -> dict[str, Any]:
    """Milliseconds of one image, in turns."""
    times: dict[str, list[float]] = {"plain": [], "predict": [], "serve": []}

    async def turns() -> None:
        client, until = Client(port), time.perf_counter() + seconds
        for _ in range(5):
            await client.post("/predict", photos[0])
            plain(), ours()
        while time.perf_counter() < until or len(times["serve"]) < 20:
            for kind, call in (("plain", plain), ("predict", ours)):
                begun = time.perf_counter()
                call()
                times[kind].append(time.perf_counter() - begun)
            reply = await client.post("/predict", photos[len(times["serve"]) % len(photos)])
            assert reply.status == 200, reply
            times["serve"].append(reply.seconds)
        await client.close()

    asyncio.run(turns())
    found: dict[str, Any] = {"rounds": len(times["plain"])}
    for kind, values in times.items():
        found[kind] = {"p50_ms": 1e3 * median(values), "p99_ms": 1e3 * quantiles(values, n=100)[98]}
    for kind in ("predict", "serve"):
        found[f"{kind}_over_plain"] = found[kind]["p50_ms"] / found["plain"]["p50_ms"]
    return found


def best_batch(eager: Eager, pixels: torch.Tensor, seconds: float) -> dict[int, float]:
    """Images a second of the network alone, by how many are computed at once."""
    found, size = {}, 1
    while size <= len(pixels):
        eager.logits(pixels[:size])
        begun, times = time.perf_counter(), list[float]()
        while time.perf_counter() - begun < seconds / 8 or len(times) < 3:
            at = time.perf_counter()
            eager.logits(pixels[:size])
            times.append(time.perf_counter() - at)
        found[size] = size / median(times)
        size *= 2
    return found


async def asked(port: int, photos: Sequence[bytes], many: int, seconds: float) -> float:
    """Images a second that `CLIENTS` get, who ask again as soon as they are answered."""
    images = [photos[number % len(photos)] for number in range(many)]
    body = images[0] if many == 1 else b"".join(HEAD + image + b"\r\n" for image in images) + b"--b--\r\n"
    kind = "" if many == 1 else "Content-Type: multipart/form-data; boundary=b\r\n"
    head = f"POST /predict?top=1 HTTP/1.1\r\nHost: localhost\r\n{kind}Content-Length: {len(body)}\r\n\r\n"
    clients = CLIENTS if many == 1 else 4  # the queue takes 128 images
    answered, begun = [0], time.perf_counter()

    async def one() -> None:
        client = Client(port)
        while time.perf_counter() - begun < seconds:
            reply = await client.send(head.encode() + body)
            assert reply.status == 200, reply
            answered[0] += many
        await client.close()

    await asyncio.gather(*(one() for _ in range(clients)))
    return answered[0] / (time.perf_counter() - begun)
