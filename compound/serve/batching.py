"""Requests of many clients through one network: a bounded queue, and one thread that computes.

Images that wait are computed together, at most a chunk of the network (see `inference.chunk_size`) at once, in sizes
that give the digits of a whole chunk, so that nobody's answer depends on who else was asking. An image waits for others
only while others are on their way.
"""

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from compound.errors import CompoundError

Answer = Future[Any] | asyncio.Future[Any]
SMOOTHING = 0.1  # of the newest batch in the running mean of seconds an image


class Busy(CompoundError):
    """More was asked than may wait; `seconds` says when to ask again."""

    def __init__(self, message: str, seconds: float = 1.0) -> None:
        super().__init__(message)
        self.seconds = max(math.ceil(seconds), 1)


class Batchable(Protocol):
    """What the queue computes with; jobs of the same object are computed together."""

    @property
    def chunk(self) -> int: ...

    def fitting(self, images: int) -> int:
        """How many of so many that wait to take, up to `chunk`: it may be cheaper to leave some for the next batch."""

    def answers(self, pixels: Tensor, asked: Sequence[Any]) -> Sequence[Any]:
        """Of uint8 (N, C, R, R), N up to `chunk`, one each; `asked` is what each came with."""


@dataclass(frozen=True)
class Job:
    """One image (C, R, R) for a network, or, with `call`, anything else that needs its turn."""

    network: Batchable | None
    pixels: Tensor | None
    asked: Any = None
    call: Callable[[], Any] | None = None
    answer: Answer = field(default_factory=Future)
    since: float = field(default_factory=time.perf_counter)


class Places:
    """Places in a queue for the images of a request, which is on its way until each has been put there."""

    def __init__(self, batcher: "Batcher", images: int) -> None:
        self.batcher, self.left = batcher, images

    def submit(self, network: Batchable, pixels: Tensor, asked: Any = None) -> Future[Any]:
        """What the network answers to one image (C, R, R)."""
        return self.batcher.submit(network, pixels, self, asked)

    def put(self, network: Batchable, pixels: Tensor, asked: Any, answer: "asyncio.Future[Any]") -> None:
        """The same, as the `answer` of an event loop, which is woken once for all answers of a batch."""
        self.batcher.put(Job(network, pixels, asked, answer=answer), self)

    def call(self, function: Callable[[], Any]) -> Future[Any]:
        """The result of `function`, computed between batches."""
        return self.batcher.call(function, self)

    def give_up(self) -> None:
        """One image cannot be read: nobody waits for it any longer."""
        self.batcher.give_up(self)


class Batcher:
    """The queue of one served network. `capacity` images may be inside, from admission to answer."""

    def __init__(self, capacity: int, wait: float, on_batch: Callable[[int, float], None] = lambda images, s: None):
        """`wait` is how many seconds an image waits at most; `on_batch` hears of images and seconds of a batch."""
        self.capacity, self.wait, self.on_batch = capacity, wait, on_batch
        self.held = 0
        self._coming = 0  # images of `held` that are still being decoded
        self._pace = 0.0  # seconds an image
        self._jobs: deque[Job] = deque()
        self._changed = threading.Condition()
        self._closed = self._ended = False
        self._thread = threading.Thread(target=self._run, name="compound-batcher", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def waiting(self) -> int:
        """Images admitted and not yet answered."""
        return self.held

    @contextmanager
    def admit(self, images: int) -> Iterator[Places]:
        """Places for `images` until their answers are known; raises `Busy` where there are not so many."""
        with self._changed:
            if self._closed:
                raise Busy("the server is ending; ask again in a moment")
            if self.held + images > self.capacity:
                raise Busy(f"{self.held} images are waiting already; ask again later", self.held * self._pace)
            self.held += images
            self._coming += images
        places = Places(self, images)
        try:
            yield places
        finally:
            with self._changed:
                self.held -= images
                self._coming -= places.left
                places.left = 0  # after a failure, others of the request may still be decoded and put here
                self._changed.notify()

    def submit(
        self, network: Batchable, pixels: Tensor, places: Places | None = None, asked: Any = None
    ) -> Future[Any]:
        """What the network answers to one image (C, R, R)."""
        answer: Future[Any] = Future()
        self.put(Job(network, pixels, asked, answer=answer), places)
        return answer

    def call(self, function: Callable[[], Any], places: Places | None = None) -> Future[Any]:
        """The result of `function`, computed between batches."""
        answer: Future[Any] = Future()
        self.put(Job(None, None, call=function, answer=answer), places)
        return answer

    def give_up(self, places: Places) -> None:
        """One image of the places does not come."""
        with self._changed:
            self._came(places)
            self._changed.notify()

    def close(self) -> None:
        """Answer what waits, then end."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def put(self, job: Job, places: Places | None) -> None:
        with self._changed:
            self._came(places)
            if self._ended:
                raise Busy("the server is ending; ask again in a moment")
            self._jobs.append(job)
            self._changed.notify()

    def _came(self, places: Places | None) -> None:
        if places and places.left:
            places.left -= 1
            self._coming -= 1

    def _run(self) -> None:
        while batch := self._next():
            jobs = [job for job in batch if _is_awaited(job.answer)]
            begun = time.perf_counter()
            try:
                told = list(zip([job.answer for job in jobs], _compute(jobs), strict=True))
            except BaseException as error:  # it belongs to those who asked; the queue goes on
                hand_out([(job.answer, error) for job in jobs])
            else:
                hand_out(told)
                self._note(len(jobs), time.perf_counter() - begun)
                del told
            del batch, jobs  # a waiting thread keeps no images alive

    def _note(self, images: int, seconds: float) -> None:
        if images:
            share = SMOOTHING if self._pace else 1.0
            self._pace += share * (seconds / images - self._pace)
            self.on_batch(images, seconds)

    def _next(self) -> list[Job]:
        """The jobs to compute together, oldest first; none when the queue has ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._closed)
            if not self._jobs:
                self._ended = True
                return []
            first = self._jobs.popleft()
            if first.network is None:
                return [first]
            batch, deadline = [first], first.since + self.wait
            while len(batch) < first.network.chunk:
                left = deadline - time.perf_counter()
                alone = self._closed or not self._coming or left <= 0
                if not self._jobs and (alone or not self._changed.wait(left)):
                    break
                if self._jobs:
                    if self._jobs[0].network is not first.network:
                        break
                    batch.append(self._jobs.popleft())
            for job in reversed(batch[first.network.fitting(len(batch)) :]):
                self._jobs.appendleft(job)
                batch.pop()
            return batch


def _compute(jobs: list[Job]) -> Sequence[Any]:
    if not jobs:
        return []
    if jobs[0].call is not None:
        return [jobs[0].call()]
    assert jobs[0].network is not None
    pixels = torch.stack([job.pixels for job in jobs if job.pixels is not None])
    return jobs[0].network.answers(pixels, [job.asked for job in jobs])


def _is_awaited(answer: Answer) -> bool:
    return not answer.cancelled() if isinstance(answer, asyncio.Future) else answer.set_running_or_notify_cancel()


def hand_out(told: Sequence[tuple[Answer, Any]]) -> None:
    """Give each its result, or the error in place of one. Every event loop is woken once, and from another thread."""
    loops: dict[asyncio.AbstractEventLoop, list[tuple[Answer, Any]]] = {}
    for answer, result in told:
        if isinstance(answer, asyncio.Future):
            loops.setdefault(answer.get_loop(), []).append((answer, result))
        else:
            _settle([(answer, result)])
    for loop, those in loops.items():
        with suppress(RuntimeError):  # it has ended, and nobody waits
            loop.call_soon_threadsafe(_settle, those)


def _settle(told: Sequence[tuple[Answer, Any]]) -> None:
    for answer, result in told:
        if answer.done():  # whoever asked has gone
            continue
        if isinstance(result, BaseException):
            answer.set_exception(result)
        else:
            answer.set_result(result)
