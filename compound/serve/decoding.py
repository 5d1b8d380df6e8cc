"""Decoding for all requests together: some threads, and no more memory than one number says."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor

from compound.data.decode import decoding_bytes
from compound.data.errors import DamagedImage
from compound.serve.limits import Limits


class Decoding(Protocol):
    def decode(self, data: bytes, name: str, pixels: int) -> Tensor:
        """Encoded bytes to uint8 (C, R, R); raises `DamagedImage`."""


class Decoders:
    """The threads that decode. An image is made as small as the network takes it before it waits for anything else;
    while it is large, it counts towards `Limits.decoding`."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.used = self.largest = 0  # bytes, now and ever
        self._changed = threading.Condition()
        self._threads = ThreadPoolExecutor(torch.get_num_threads(), "compound-decoder")

    async def decode(self, network: Decoding, data: bytes, position: int) -> Tensor:
        """The image at `position` of a request, uint8 (C, R, R)."""
        name = f"image {position}"

        def work() -> Tensor:
            with self._room(decoding_bytes(data, self.limits.pixels), name):
                return network.decode(data, name, self.limits.pixels)

        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        self._threads.shutdown()

    @contextmanager
    def _room(self, size: int, name: str) -> Iterator[None]:
        """`size` bytes, once they are free."""
        most = self.limits.decoding
        if size > most:
            raise DamagedImage(name, f"decoding it may take {size:,} bytes, and {most:,} are allowed")
        with self._changed:
            self._changed.wait_for(lambda: self.used + size <= most)
            self.used += size
            self.largest = max(self.largest, self.used)
        try:
            yield
        finally:
            with self._changed:
                self.used -= size
                self._changed.notify_all()
