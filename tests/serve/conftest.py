"""A tiny network behind a real server on a real port, in a thread of this process."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import uvicorn

from benchmarks.serving.client import Client, Reply
from benchmarks.serving.subject import write_images
from compound.deploy.scorelog import ScoreLog
from compound.nn import Unknown, build, save_weights
from compound.nn.conformal import Sets
from compound.notation import parse_network
from compound.serve import Address, Limits, Watcher, make_app
from compound.serve.metrics import ServerMetrics
from compound.serve.server import configure, open_models

NETWORK = """
name: tiny
resolution: 32
stem: {block: conv, channels: 4, stride: 2}
stages:
- {block: mbconv, kernel: 3, expand: 2, layers: 1, channels: 8, stride: 2}
head: {channels: 16}
"""
CLASSES = ("ant", "bee", "cat", "dog")


def write_weights(path: Path, seed: int, resolution: int = 32, least: float | None = None) -> Path:
    """Sharp enough that images differ; with `least`, scores below it are of no class."""
    network = parse_network(NETWORK, "tiny").with_(resolution=resolution)
    model = build(network.with_(classes=len(CLASSES)), seed=seed)
    with torch.no_grad():
        model.classifier.linear.weight.mul_(100)
    if least is not None:
        model.unknown, model.sets = Unknown(least, 0.05, 99), Sets(0.9, 0.8, 99)
    path.parent.mkdir(parents=True, exist_ok=True)
    return save_weights(model, path, CLASSES)


@dataclass
class Running:
    port: int
    models: dict[str, Any]

    def get(self, path: str) -> Reply:
        return self.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    def post(self, path: str, body: bytes) -> Reply:
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        return self.send(head.encode() + body)

    def send(self, request: bytes) -> Reply:
        return asyncio.run(once(self.port, request))

    def form(self, path: str, *files: bytes) -> Reply:
        part = b'--b\r\nContent-Disposition: form-data; name="image"; filename="../x"\r\n\r\n%s\r\n'
        body = b"".join(part % file for file in files) + b"--b--\r\n"
        head = (
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
            "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        )
        return self.send(head.encode() + body)


async def once(port: int, request: bytes) -> Reply:
    client = Client(port)
    try:
        return await client.send(request)
    finally:
        await client.close()


Start = Callable[..., Running]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_images(tmp_path_factory.mktemp("photos") / "in", 9, seed=4)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("served") / "tiny.safetensors", seed=1)


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def make(places: dict[str, Path], limits: Limits | None = None, token: str | None = None, queue: int = 64,
             reload: float = 60.0, log: Path | None = None) -> Running:  # fmt: skip
        limits, metrics = limits or Limits(), ServerMetrics()
        named = {name: str(path) for name, path in places.items()}
        models = open_models(named, metrics, runtime="auto", device="cpu", queue=queue, wait=0.005)
        app = make_app(models, limits, token, metrics, Watcher(models, reload, metrics), ScoreLog(log) if log else None)
        server = uvicorn.Server(configure(app, Address(port=0), limits))
        thread = threading.Thread(target=server.run)
        thread.start()
        running.append((server, thread))
        while not server.started:
            time.sleep(0.01)
        return Running(server.servers[0].sockets[0].getsockname()[1], models)

    yield make
    for server, thread in running:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def server(start: Start, weights: Path) -> Running:
    return start({"tiny": weights})
