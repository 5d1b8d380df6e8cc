"""Batches: loading and augmenting images, and what to do about damaged ones.

N images in a batch, C channels, R the resolution in px
"""

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from threading import Thread

import numpy as np
import torch
from torch._C import _error_if_any_worker_fails
from torch.utils.data import DataLoader, Dataset

from compound.data.augment import Augment, Keys
from compound.data.chance import Integers
from compound.data.errors import DamagedImage, DataError
from compound.data.preprocess import Preprocessing
from compound.data.sampler import Draw, EpochSampler
from compound.data.source import ArraySource, FileSource, Source
from compound.errors import CompoundError

CACHE_LIMIT = 2**30  # bytes of resized images that are kept
SHARED = "/dev/shm"


@dataclass
class Batch:
    """images uint8 (N, C, R, R), labels int64 (N,), indices int64 (N,); `damaged` lists (path, reason) left out."""

    images: torch.Tensor
    labels: torch.Tensor
    indices: torch.Tensor
    damaged: list[tuple[str, str]]

    def __len__(self) -> int:
        return len(self.labels)

    def pin_memory(self) -> "Batch":
        images, labels, indices = (each.pin_memory() for each in (self.images, self.labels, self.indices))
        return Batch(images, labels, indices, self.damaged)

    def to(self, device: torch.device | str, non_blocking: bool = True) -> "Batch":
        images, labels, indices = (
            each.to(device, non_blocking=non_blocking) for each in (self.images, self.labels, self.indices)
        )
        return Batch(images, labels, indices, self.damaged)

    def share(self) -> "Batch":
        """The batch in shared memory.

        The queue to the main process would do it as well, but in a thread of its own, whose errors reach nobody.
        """
        images, labels, indices = (each.share_memory_() for each in (self.images, self.labels, self.indices))
        return Batch(images, labels, indices, self.damaged)


class Images(Dataset[Batch]):
    """Whole batches of a source, resized and, with `augment`, augmented."""

    def __init__(
        self,
        source: Source,
        preprocessing: Preprocessing,
        augment: Augment | None = None,
        seed: int = 0,
        repeats: int = 1,
    ) -> None:
        if augment is not None and augment.policy != "none" and preprocessing.channels not in (1, 3):
            raise DataError(
                f"policy {augment.policy} changes colours, and these images have {preprocessing.channels} channels; "
                "take a recipe with policy: none"
            )
        self.source, self.preprocessing, self.augment, self.seed = source, preprocessing, augment, seed
        self._inception = augment is not None and augment.crop == "inception"
        self._smaller = isinstance(source, FileSource) and repeats == 1  # else an image is decoded once for all crops
        self._array = source.images if isinstance(source, ArraySource) and not self._inception else None
        size = len(source) * preprocessing.channels * preprocessing.resolution**2
        self._resized = self._array is not None and size <= CACHE_LIMIT
        if self._array is not None and self._resized:
            self._array = preprocessing.resize(self._array)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, draw: Draw) -> Batch:
        return self.__getitems__([draw])

    def __getitems__(self, draws: list[Draw]) -> Batch:
        """The batch of `draws`, without the images that are damaged."""
        keys = np.array([draw[:2] for draw in draws], dtype=np.int64).reshape(-1, 2)
        damaged: list[tuple[str, str]] = []
        if self._array is not None:
            images = self._array[torch.from_numpy(keys[:, 1])]
            images = images if self._resized else self.preprocessing.resize(images)
        else:
            images, good = self._load(keys, damaged)
            keys = keys[good]
        if self.augment and draws:
            augment = self.augment.at(draws[0].magnitude)
            images = augment.apply(images, self._keys(keys), self.preprocessing.fill)
        labels = torch.from_numpy(self.source.labels[keys[:, 1]])
        return Batch(images, labels, torch.from_numpy(keys[:, 1].copy()), damaged)

    def _load(self, keys: Integers, damaged: list[tuple[str, str]]) -> tuple[torch.Tensor, list[int]]:
        """Images (n, C, R, R) one after the other, and which of `keys` they are; the others go to `damaged`."""
        side, channels = self.preprocessing.resolution, self.preprocessing.channels
        # As decoders and networks have it, so that nothing is turned around on the way.
        images = torch.empty(len(keys), channels, side, side, dtype=torch.uint8, memory_format=torch.channels_last)
        good: list[int] = []
        augment = self.augment if self._inception else None
        attempts = augment.attempts(self._keys(keys)) if augment else []
        load = lru_cache(maxsize=1)(self.source.ahead(keys[:, 1]))  # repeats of an image stand in a row
        for row, index in enumerate(keys[:, 1].tolist()):
            try:
                if augment and self._smaller:
                    image, box = self.source.crop(index, partial(augment.box, attempts[row]), side)
                else:
                    image = load(index)
                    box = augment.box(attempts[row], *image.shape[-2:]) if augment else (0, 0, 0, 0)
            except DamagedImage as error:
                damaged.append((error.path, error.reason))
                continue
            image = self.preprocessing.scale(image, *box) if augment else self.preprocessing.resize(image)
            images[len(good)] = image
            good.append(row)
        return images[: len(good)], good

    def _keys(self, keys: Integers) -> Keys:
        return Keys(self.seed, keys[:, 0], keys[:, 1])


def make_loader(
    source: Source,
    preprocessing: Preprocessing,
    batch: int,
    *,
    augment: Augment | None = None,
    shuffle: bool = False,
    drop_last: bool = False,
    seed: int = 0,
    workers: int = 0,
    epoch: int = 0,
    start_batch: int = 0,
    rank: int = 0,
    world: int = 1,
    repeats: int = 1,
) -> DataLoader[Batch]:
    """Batches of `source`; `loader.batch_sampler.set_epoch(e)` goes on to the next epoch. See `EpochSampler`."""
    sampler = EpochSampler(len(source), batch, seed, shuffle, drop_last, epoch, start_batch, rank, world, repeats)
    return DataLoader(
        Images(source, preprocessing, augment, seed, repeats),
        batch_sampler=sampler,
        num_workers=workers,
        multiprocessing_context=_context() if workers else None,
        collate_fn=_shared if workers else _as_is,  # type: ignore[arg-type]  # `__getitems__` has made the batch
        pin_memory=torch.cuda.is_available(),
        persistent_workers=workers > 0,
        worker_init_fn=_outlive_signals,
        generator=torch.Generator(),  # its own, so that loading leaves the global generator as it was
    )


def end_workers(loader: DataLoader[Batch]) -> None:
    """End the processes that load images, which otherwise go when the loader does."""
    iterator, loader._iterator = loader._iterator, None
    if iterator is not None:
        iterator._shutdown_workers()  # type: ignore[attr-defined]  # only processes outlive an epoch


@dataclass
class DamageLog:
    """Counts what could not be decoded; `add` raises once it is more than `limit` of at least `minimum` images."""

    limit: float = 0.01
    minimum: int = 100
    seen: int = 0
    count: int = 0
    damaged: dict[str, str] = field(default_factory=dict)
    """The reason of every path, once each."""

    def add(self, batch: Batch) -> None:
        self.seen += len(batch) + len(batch.damaged)
        self.count += len(batch.damaged)
        self.damaged.update(batch.damaged)
        if self.seen >= self.minimum and self.count > self.limit * self.seen:
            raise self._too_many()

    def close(self) -> None:
        """All there are were seen: `limit` holds however few they are, though one may be damaged."""
        if self.count > max(self.limit * self.seen, 1):
            raise self._too_many()

    def _too_many(self) -> CompoundError:
        return CompoundError(
            f"{self.summary()}; that is more than {self.limit:.1%}, so repair or remove them, or raise the limit "
            "(--damaged-limit)"
        )

    def summary(self) -> str:
        """One sentence, without a full stop, with the first five paths."""
        if not self.count:
            return f"none of {self.seen:,} images loaded was damaged"
        first = [f"{path} ({reason})" for path, reason in list(self.damaged.items())[:5]]
        more = f" and {len(self.damaged) - 5:,} more" if len(self.damaged) > 5 else ""
        return f"{self.count:,} of {self.seen:,} images loaded were damaged and left out: {', '.join(first)}{more}"


@contextmanager
def loading() -> Iterator[None]:
    """Say in one sentence what became of a process that loads images, wherever torch reports it."""
    try:
        yield
    except CompoundError as error:  # torch puts the traceback of a worker before what it said
        lines = str(error).splitlines()
        if not lines[0].startswith("Caught "):
            raise
        raise CompoundError(lines[-1].partition(": ")[2]) from error
    except (RuntimeError, EOFError, ConnectionError) as error:
        said = str(error) if isinstance(error, RuntimeError) else _of_a_dead_worker(error)
        lines = said.strip().splitlines() or [""]
        if not (lines[0].startswith("DataLoader worker") or "shared memory" in lines[-1]):
            raise
        free = f" ({SHARED} has {shutil.disk_usage(SHARED).free:,} bytes free)" if os.path.isdir(SHARED) else ""
        said = lines[-1].removeprefix("RuntimeError: ").rstrip(". ")
        raise CompoundError(
            f"loading images failed: {said}; memory may have run out{free}: use fewer --workers, or 0"
        ) from error


def _of_a_dead_worker(error: Exception) -> str:
    """What torch says of a process that died while its images were taken over; nothing where `error` is another's.

    Torch says it where a signal finds the main process, be it in the midst of telling the user; asked for, it is said
    once. A broken pipe without a word from torch is that of our own output, whose reader has gone (`| head`).
    """
    ours = isinstance(error, BrokenPipeError)
    end = time.monotonic() + (0.1 if ours else 1)
    while time.monotonic() < end:
        try:
            _error_if_any_worker_fails()
            time.sleep(0.01)
        except RuntimeError as error:
            return str(error)
    return "" if ours else "DataLoader worker exited unexpectedly"


def _context() -> str | None:
    """By fork where the system's way is to fork, also in a process that was itself started in another way.

    Such a process hands its way on, and every loader of every training of a search would import torch anew.
    """
    return "fork" if sys.platform == "linux" else None


def _as_is(batch: Batch) -> Batch:
    return batch


def _shared(batch: Batch) -> Batch:
    return batch.share()


def _outlive_signals(worker: int) -> None:
    """Ctrl-C and SIGTERM often reach all processes of a job at once; only the main process ends its workers."""

    def wait() -> None:
        while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
            pass
        os._exit(0)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    Thread(target=wait, daemon=True).start()
