"""A lone image, and many clients, against what the network itself takes. Writes benchmarks/results/lone.json.

Every network is timed in rounds: the plain forward pass of one image, what `predict` computes of it, and a request of
the server by a lone client, one after the other; beside it the server without a network, and one that answers nothing
(`benchmarks.serving.floor`). Then many clients ask for classes, an image or `BATCH` a request, and their images a
second are compared with the network's own at its best batch, and with what HTTP and decoding leave of it.
"""

import asyncio
import io
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.serving.client import Client
from benchmarks.serving.subject import Server, running, serving, write_model
from compound.cost import cost
from compound.data.decode import decode_image
from compound.inference import Eager, chunk_size, in_chunks
from compound.nn import evaluating, load_weights

NETWORKS = ("efficientnet-b0", "efficientnet-mini")
CLIENTS, BATCH, ROUNDS = 32, 32, 5
HEAD = b'--b\r\nContent-Disposition: form-data; name="i"; filename="i"\r\n\r\n'
FLOOR = "benchmarks.serving.floor"


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
    photos = [photo_of(rng, side, eager.channels) for _ in range(8)]

    def plain() -> None:
        with torch.inference_mode():
            images = eager.preprocessing.normalise(pixels[:1]).contiguous(memory_format=torch.channels_last)
            model(images)

    with ExitStack() as open_ones:
        open_ones.enter_context(evaluating(model))
        start = open_ones.enter_context
        servers = {
            "serve": start(serving(place, folder / "log", "--device", "cpu")),
            "still": start(running(folder / "still", FLOOR, "still", str(place))),
            "nothing": start(running(folder / "nothing", FLOOR, "nothing")),
        }
        eager.find_sizes()
        ours = {"plain": plain, "predict": lambda: in_chunks(eager, pixels[:1], torch.arange(1), chunk)}
        value = alone(ours, servers, photos, seconds)
        found = {
            "macs": cost(model.network).macs, "chunk": chunk, "sizes": list(eager.sizes), **value,
            "decode_cpu_ms": decoding(photos, eager), "many": many(eager, pixels, servers, photos, seconds),
        }  # fmt: skip
    print(name, found, flush=True)
    return found


def decoding(photos: Sequence[bytes], eager: Eager) -> float:
    """Milliseconds of processor time to decode one of them, alone in a process."""
    begun, count = time.process_time(), 0
    while time.process_time() < begun + 0.3:
        image = decode_image(photos[count % len(photos)], eager.channels, "photo")
        eager.preprocessing.resize(image)
        count += 1
    return 1e3 * (time.process_time() - begun) / count


def many(
    eager: Eager, pixels: torch.Tensor, servers: Mapping[str, Server], photos: Sequence[bytes], seconds: float
) -> dict[str, Any]:
    """Images a second, and milliseconds of processor time an image, in rounds; the median, the least and the most.

    `own`: the network alone, at its best batch. `BATCH` or one image a request. The shares are of each round. `of_own`:
    of the network's own images a second. `of_allowed`: processor time of the network alone and of the server without
    one, against that of both together, which no load of the machine changes.
    """
    rounds: list[dict[str, float]] = []
    best = max(best_batch(eager, pixels, seconds).items(), key=lambda one: one[1])[0]
    for _ in range(ROUNDS):
        one = dict(zip(("own", "own_cpu_ms"), own(eager, pixels[:best], seconds / ROUNDS), strict=True))
        for images in (1, BATCH):
            for name, server in servers.items():
                used = server.used()
                rate, count = asyncio.run(asked(server.port, photos, images, seconds / ROUNDS))
                one[f"{name}_{images}"] = rate
                one[f"{name}_{images}_cpu_ms"] = 1e3 * (server.used() - used) / count
            one[f"of_own_{images}"] = one[f"serve_{images}"] / one["own"]
            allowed = one["own_cpu_ms"] + one[f"still_{images}_cpu_ms"]
            one[f"of_allowed_{images}"] = allowed / one[f"serve_{images}_cpu_ms"]
        rounds.append(one)
    spread = {key: [round_[key] for round_ in rounds] for key in rounds[0]}
    told = {key: {"p50": median(got), "least": min(got), "most": max(got)} for key, got in spread.items()}
    return {"clients": CLIENTS, "rounds": ROUNDS, "best_batch": best, **told}


def own(eager: Eager, pixels: torch.Tensor, seconds: float) -> tuple[float, float]:
    """Images a second of the network alone, and milliseconds of processor time for each."""
    begun, used, count = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() < begun + seconds or not count:
        eager.logits(pixels)
        count += len(pixels)
    return count / (time.perf_counter() - begun), 1e3 * (time.process_time() - used) / count


def photo_of(rng: np.random.Generator, side: int, channels: int) -> bytes:
    """A JPEG of the network's own size, so that what is compared is the server and not the decoder."""
    coarse = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)).resize((side, side), 3)
    file = io.BytesIO()
    coarse.convert("RGB" if channels == 3 else "L").save(file, "JPEG", quality=90)
    return file.getvalue()


def alone(
    ours: Mapping[str, Callable[[], object]], servers: Mapping[str, Server], photos: Sequence[bytes], seconds: float
) -> dict[str, Any]:
    """Milliseconds of one image, in turns."""
    times: dict[str, list[float]] = {name: [] for name in (*ours, *servers)}

    async def turns() -> None:
        clients = {name: Client(server.port) for name, server in servers.items()}

        async def turn() -> None:
            for kind, call in ours.items():
                begun = time.perf_counter()
                call()
                times[kind].append(time.perf_counter() - begun)
            for kind, client in clients.items():
                reply = await client.post("/predict", photos[len(times[kind]) % len(photos)])
                assert reply.status == 200, reply
                times[kind].append(reply.seconds)

        for _ in range(5):
            await turn()
        for each in times.values():
            each.clear()
        until = time.perf_counter() + seconds
        while time.perf_counter() < until or len(times["serve"]) < 20:
            await turn()
        for client in clients.values():
            await client.close()

    asyncio.run(turns())
    found: dict[str, Any] = {"rounds": len(times["plain"])}
    for kind, values in times.items():
        deciles = quantiles(values, n=100)
        found[kind] = {"p10_ms": 1e3 * deciles[9], "p50_ms": 1e3 * median(values), "p99_ms": 1e3 * deciles[98]}
    for kind in ("predict", *servers):  # of the same round, or the machine's other work would be in the ratio
        ratios = [one / plain for one, plain in zip(times[kind], times["plain"], strict=True)]
        found[f"{kind}_over_plain"] = median(ratios)
        found[f"{kind}_over_plain_p10"] = found[kind]["p10_ms"] / found["plain"]["p10_ms"]
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


async def asked(port: int, photos: Sequence[bytes], many: int, seconds: float) -> tuple[float, int]:
    """Images a second that `CLIENTS` get, who ask again as soon as they are answered; and how many images."""
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
    return answered[0] / (time.perf_counter() - begun), answered[0]
