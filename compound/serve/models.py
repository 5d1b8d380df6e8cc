"""The networks that are served, each with its file, its queue, and what happens when the file changes."""

import io
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from compound.data import Preprocessing
from compound.data.decode import FirstBytes, decode_image
from compound.deploy import export_folder, open_model, weights_file
from compound.deploy.choose import CHOICE
from compound.errors import CompoundError
from compound.execution import pick_device
from compound.explanation import explain_prepared, in_bytes, overlay
from compound.files import sha256
from compound.inference import Classifier, Eager, chunk_size, in_chunks
from compound.network import Network
from compound.nn import ConvNet, Weights, load_weights
from compound.runtimes import Runtime
from compound.serve.batching import Batcher
from compound.serve.said import Said, said_of

LOG = logging.getLogger("uvicorn.error")
FULL = 0.75  # of a size, from where it pays to fill it up rather than to compute fewer
Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Loaded:
    """A network ready to answer, exactly as `compound predict` would. Maps are made of `net`, where there is one."""

    classifier: Classifier
    described: Weights
    chunk: int
    runtime: str
    precision: str
    net: ConvNet | None
    device: str

    @property
    def classes(self) -> tuple[str, ...]:
        return self.described.classes

    @property
    def network(self) -> Network:
        return self.classifier.network

    @property
    def resolution(self) -> int:
        return self.network.resolution

    @property
    def channels(self) -> int:
        return self.classifier.channels

    def decode(self, data: bytes, name: str, pixels: int, seen: FirstBytes | None) -> Tensor:
        """Encoded bytes to uint8 (C, R, R), as the network takes it; raises `DamagedImage`."""
        return Preprocessing.of(self.network).resize(decode_image(data, self.channels, name, pixels, seen=seen))

    def fitting(self, images: int) -> int:
        """As many as fill a size, and leave some for the next batch, where the next size would be a quarter empty."""
        sizes = (*self.classifier.sizes, self.chunk)
        above = next((size for size in sizes if size >= images), self.chunk)
        below = max((size for size in sizes if size <= images), default=images)
        return images if images >= FULL * above else below

    def answers(self, pixels: Tensor, asked: Sequence[int]) -> list[Said | None]:
        """Of uint8 (N, C, R, R), each `asked` for so many classes; None of what is answered with no numbers."""
        return said_of(self.logits(pixels), pixels, self.described, asked)

    def logits(self, pixels: Tensor) -> Tensor:
        """uint8 (N, C, R, R) to (N, classes)."""
        if len(pixels) == self.chunk or len(pixels) in self.classifier.sizes:  # nothing is filled up
            return self.classifier.logits(pixels)
        return in_chunks(self.classifier, pixels, torch.arange(len(pixels)), self.chunk)

    def find_sizes(self) -> None:
        """Let lone images be computed as such, where they get the digits of a whole chunk: see `compound.digits`."""
        if isinstance(self.classifier, Eager):
            self.classifier.find_sizes()

    def map_of(self, pixels: Tensor, index: int | None) -> tuple[bytes, int, str]:
        """The map of a class, or of the most probable one, over uint8 (C, R, R): PNG, class and method."""
        assert self.net is not None
        where = pick_device(self.device)
        self.net.to(where).to(memory_format=torch.channels_last)
        classes = None if index is None else torch.tensor([[index]], device=where)
        images, found = explain_prepared(self.net, pixels[None].to(where), classes)
        drawn = overlay(pixels, found.heat(*images.shape[2:])[0, 0].cpu())
        file = io.BytesIO()
        Image.fromarray(in_bytes(drawn)).save(file, "PNG", compress_level=1)
        return file.getvalue(), int(found.classes[0, 0]), found.method


def load(place: str, runtime: str = "auto", device: str = "auto") -> Loaded:
    """The network at `place` (see `open_model`), after one image has gone through it."""
    opened, described = open_model(place, runtime)
    if isinstance(opened, Runtime):
        net = load_weights(place)[0] if weights_file(place).suffix == ".safetensors" else None
        loaded = Loaded(opened, described, 1, opened.name, opened.precision, net, device)
    else:
        where = pick_device(device)
        eager = Eager(opened.eval(), where)
        size = chunk_size(opened.network, where)
        loaded = Loaded(eager, described, size, "torch", "fp32", opened, device)
    side = loaded.network.resolution
    answer = loaded.logits(torch.zeros(1, loaded.channels, side, side, dtype=torch.uint8))
    if answer.shape != (1, len(described.classes)) or not answer.isfinite().all():
        raise CompoundError(
            f"{place} answers a black image with {tuple(answer.shape)} numbers, or with some that are none, instead of "
            f"{len(described.classes)}; export or train it again"
        )
    return loaded


def watched(place: str) -> list[Path]:
    """The files whose change is a new network."""
    weights = weights_file(place)
    choice = export_folder(place) / CHOICE
    return [path for path in (weights, weights.with_suffix(".bin"), choice) if path.is_file()]


class ServedModel:
    """A name, the network that answers for it now, and its queue."""

    def __init__(self, name: str, place: str, batcher: Batcher, runtime: str = "auto", device: str = "auto") -> None:
        self.name, self.place, self.batcher = name, place, batcher
        self._runtime, self._device = runtime, device
        self._lock = threading.Lock()
        self._stamp = self._seen = stamp(place)
        self.version = checksum(place)
        self.loaded = self._load()
        self.problem: str | None = None

    def _load(self) -> Loaded:
        loaded = load(self.place, self._runtime, self._device)
        self.batcher.call(loaded.find_sizes).result()  # in the thread that computes, whose threads are those of answers
        return loaded

    def refresh(self, force: bool = False) -> bool | None:
        """Take up files that have changed: True if so, False if they are no network, None where nothing is new.

        A file must look the same twice before it is read, so that one half copied is left alone. With `force` the
        files are read whatever their dates say. What does not load changes nothing but `problem`.
        """
        with self._lock:
            now, before = stamp(self.place), self._seen
            self._seen = now
            if not now or not (force or (now == before and now != self._stamp)):
                return None
            self._stamp = now
            try:
                version = checksum(self.place)
                if version == self.version:
                    self.problem = None
                    return None
                self.loaded = self._load()
            except Exception as error:  # whatever is wrong with the new one, the old one answers
                LOG.warning("%s: %s has changed but is not used: %s", self.name, self.place, error)
                self.problem = "its file has changed but is not used: it does not load"
                return False
            self.version, self.problem = version, None
            return True


def stamp(place: str) -> Stamp:
    """Date, size and number of each file; empty while one is being replaced."""
    try:
        stats = [path.stat() for path in watched(place)]
    except OSError:
        return ()
    return tuple((one.st_mtime_ns, one.st_size, one.st_ino) for one in stats)


def checksum(place: str) -> str:
    """SHA-256 of the files together, 12 digits of each."""
    return "-".join(sha256(path)[:12] for path in watched(place))
