"""Which images come when."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from torch.utils.data import Sampler

from compound.data.chance import Integers, Purpose, hashes
from compound.data.errors import DataError


class Draw(NamedTuple):
    """One image in its turn; `epoch` is a number of its own for each time that the image is repeated."""

    epoch: int
    index: int  # type: ignore[assignment]  # shadows tuple's method, which nobody needs here
    magnitude: int | None = None  # of its augmentation, where that is not always the same


class EpochSampler(Sampler[list[Draw]]):
    """Batches of draws; the order is a pure function of (seed, epoch), so any process can take it up anywhere.

    `start_batch` batches of `start_epoch` are left out, for a run resumed within an epoch. With `world` processes each
    step takes `batch` images a process, of which `rank` gets every `world`-th; all processes have equally many steps,
    and where the last is not full some may get fewer images, or none.

    With `repeats` an image comes so many times in a row, with another augmentation each time, and an epoch, which is as
    long as ever, sees a share of the images (Hoffer et al. 2020, "Augment your batch").

    `magnitude`, where it is set, says by epoch and step within it how strongly that step is augmented.
    """

    def __init__(
        self,
        n: int,
        batch: int,
        seed: int = 0,
        shuffle: bool = False,
        drop_last: bool = False,
        start_epoch: int = 0,
        start_batch: int = 0,
        rank: int = 0,
        world: int = 1,
        repeats: int = 1,
    ) -> None:
        if batch < 1:
            raise DataError(f"batch {batch} is less than one image; use e.g. 128")
        if drop_last and n < batch * world:
            raise DataError(f"batch {batch * world} is more than the {n} images there are; use a smaller batch")
        self.n, self.batch, self.seed, self.shuffle, self.drop_last = n, batch, seed, shuffle, drop_last
        self.start_epoch, self.start_batch = start_epoch, start_batch
        self.rank, self.world, self.repeats = rank, world, repeats
        self.epoch = start_epoch
        self.magnitude: Callable[[int, int], int] | None = None

    @property
    def sampler(self) -> "EpochSampler":
        """Lightning announces the epoch to `loader.batch_sampler.sampler`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def order(self) -> Integers:
        """The indices (n,) of this epoch in its order."""
        indices = np.arange(self.n)
        if self.shuffle:
            indices = np.argsort(hashes(self.seed, self.epoch, indices, Purpose.ORDER), kind="stable")
        return indices.repeat(self.repeats)[: self.n]

    def __iter__(self) -> Iterator[list[Draw]]:
        order, step = self.order(), self.batch * self.world
        for start in range(self._first() * step, self._count() * step, step):
            turns = range(start, min(start + step, self.n))[self.rank :: self.world]
            strength = self.magnitude(self.epoch, start // step) if self.magnitude else None
            yield [Draw(self.epoch * self.repeats + turn % self.repeats, int(order[turn]), strength) for turn in turns]

    def __len__(self) -> int:
        """Steps of a whole epoch, also of one taken up in its middle: Lightning adds the steps done before."""
        return self._count()

    def _first(self) -> int:
        return self.start_batch if self.epoch == self.start_epoch else 0

    def _count(self) -> int:
        step = self.batch * self.world
        return self.n // step if self.drop_last else -(-self.n // step)
