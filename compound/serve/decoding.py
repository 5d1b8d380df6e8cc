"""Decoding for all requests together: some threads, and no more memory than one number says."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from compound.data.decode import BYTES_OF_OTHERS, FirstBytes, look
from compound.data.errors import DamagedImage
from compound.data.survey import LITTLE, is_small
from compound.serve.batching import hand_out
from compound.serve.limits import Limits


class Decoding(Protocol):
    @property
    def resolution(self) -> int:
        """R, in pixels."""

    def decode(self, data: bytes, name: str, pixels: int, seen: FirstBytes | None) -> Tensor:
        """Encoded bytes to uint8 (C, R, R); raises `DamagedImage`."""


class Decoders:
    """The threads that decode. An image is made as small as the network takes it before it waits for anything else;
    while it is large, it counts towards `Limits.decoding`."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.used = self.largest = 0  # bytes, now and ever
        self._takes_small = limits.pixels >= LITTLE and limits.decoding >= BYTES_OF_OTHERS * LITTLE  # any of them
        self._changed = threading.Condition()
        self._threads = ThreadPoolExecutor(torch.get_num_threads(), "compound-decoder")

    async def decode(self, network: Decoding, data: bytes, position: int) -> Tensor:
        """The image at `position` of a request, uint8 (C, R, R)."""
        work = partial(self._decoded, network, data, f"image {position}")
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def decode_into(
        self,
        answer: "asyncio.Future[Any]",
        network: Decoding,
        data: bytes,
        position: int,
        put: Callable[[Tensor], object],
    ) -> None:
        """`put` the image where it becomes the `answer`, straight from the thread that decodes it; who asked is not
        woken in between. What goes wrong is the answer, too. A small one takes less time than a thread takes to wake,
        so it is decoded here."""

        def work() -> None:
            try:
                put(self._decoded(network, data, f"image {position}"))
            except BaseException as error:
                hand_out([(answer, error)])

        if self._takes_small and network.resolution**2 <= LITTLE and is_small(data):
            try:
                put(network.decode(data, f"image {position}", self.limits.pixels, None))
            except Exception as error:
                answer.set_exception(error)
        else:
            self._threads.submit(work)

    def _decoded(self, network: Decoding, data: bytes, name: str) -> Tensor:
        pixels = self.limits.pixels
        seen = look(data, pixels)
        with self._room(seen.bytes(pixels), name):
            return network.decode(data, name, pixels, seen)

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
