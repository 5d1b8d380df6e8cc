"""What is served and asked: a network with seeded weights, images of mixed sizes, and the answers they must get."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from compound.nn import build, save_weights
from compound.verbs.given import find_network

SIZES = (48, 1280)  # px of an image's sides
FORMATS = (("jpg", "JPEG"), ("png", "PNG"), ("webp", "WEBP"))


class Server(NamedTuple):
    process: "subprocess.Popen[bytes]"
    port: int
    log: Path

    def used(self) -> float:
        """Seconds of processor time that its threads have had."""
        found = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(found[11]) + int(found[12])) / os.sysconf("SC_CLK_TCK")

    def resident(self) -> int:
        """Bytes of memory the process has now."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", text)
        return 1024 * int(found[1]) if found else 0


def write_model(folder: Path, network: str, seed: int) -> Path:
    """Seeded weights whose classifier is sharp enough that images differ."""
    model = build(find_network(network).with_(classes=10), seed=seed).eval()
    torch.manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.Linear):
                module.weight.normal_(0, 1)
    folder.mkdir(parents=True)
    return save_weights(model, folder / "model.safetensors", tuple(f"class {number}" for number in range(10)))


def write_images(folder: Path, count: int, seed: int) -> list[Path]:
    """Blotches of colour in three formats, each of its own width and height."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    paths = []
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8))
        width, height = np.exp(rng.uniform(*np.log(SIZES), 2)).astype(int)
        suffix, kind = FORMATS[number % len(FORMATS)]
        paths.append(folder / f"{number:03d}.{suffix}")
        coarse.resize((int(width), int(height)), Image.Resampling.BICUBIC).save(paths[-1], kind)
    return paths


def offline(model: Path, images: list[Path]) -> list[object]:
    """What `compound predict` says of each image, in a process of its own."""
    words = [sys.executable, "-m", "compound", "predict", str(model), *map(str, images), "--json"]
    told = json.loads(subprocess.run(words, check=True, capture_output=True).stdout)
    return [one["classes"] for one in told["predictions"]]


def serving(model: Path, log: Path, *options: str) -> AbstractContextManager[Server]:
    """`compound serve` in a process of its own, told to end as an orchestrator would."""
    return running(log, "compound", "serve", str(model), "--port", "0", *options)


@contextmanager
def running(log: Path, module: str, *words: str) -> Iterator[Server]:
    """A server in a process of its own, which says in its log where it listens."""
    with log.open("wb") as file:
        process = subprocess.Popen([sys.executable, "-m", module, *words], stdout=file, stderr=file)
    try:
        while not (found := re.search(r"running on http://\S+?:(\d+)", log.read_text())):
            if process.poll() is not None:
                raise RuntimeError(f"the server ended: {log.read_text()}")
            try:
                process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
        yield Server(process, int(found[1]), log)
    finally:
        process.terminate()
        process.wait(60)
