"""Where and how something runs, said once: the device, and how images come to it."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import torch

from compound.bounds import check_call
from compound.data import ArraySource, DamageLog, Source
from compound.errors import CompoundError, UsageError
from compound.machine import cores

WORKERS_A_CORE, ALWAYS = 8, 64  # loading processes: more than so many a core is a slip of the pen, up to 64 never


@dataclass(frozen=True)
class Execution:
    """Where and how a network runs over images. No figure depends on `workers` and `batch`.

    `device`: auto, cpu, cuda, …; auto is the GPU where there is one.
    `workers`: processes that load images; None: by the kind of data.
    `batch`: images loaded at once, where nothing is learned (a training's are its recipe's).
    `threads`: of the processor; None: as many as torch takes by itself.
    `damaged_limit`: the share of unreadable images, 0 to 1, that stops the work.
    `shard`, `pipeline`, `sync_norm`: of a training in several processes, see `compound.training.train`.
    `deterministic`: of a training on a GPU, only algorithms whose bits are the same every time; a processor's are.

    Raises `UsageError` for numbers that are out of range.
    """

    device: str = "auto"
    workers: int | None = None
    batch: int = 128
    threads: int | None = None
    damaged_limit: float = 0.01
    shard: bool = False
    sync_norm: bool = False
    deterministic: bool = False
    pipeline: bool = False

    def __post_init__(self) -> None:
        if self.workers is not None:
            check_workers(self.workers, 0)
        check_call(self.batch, self.threads)
        if self.pipeline and (self.shard or self.sync_norm):
            other = "--shard" if self.shard else "--sync-norm"
            raise UsageError(f"--pipeline does not go with {other}; leave one of them out")
        if not (math.isfinite(self.damaged_limit) and 0 <= self.damaged_limit <= 1):
            raise UsageError(f"damaged limit {self.damaged_limit} is not a share; use 0 to 1, e.g. 0.01")

    @cached_property
    def where(self) -> torch.device:
        """The device. Raises `CompoundError` where torch cannot use it."""
        return pick_device(self.device)

    def workers_for(self, source: Source) -> int:
        """Processes that load `source`: decoding needs some of its own, arrays in memory do not."""
        if self.workers is not None:
            return self.workers
        return 0 if isinstance(source, ArraySource) else max(torch.get_num_threads() - 1, 1)

    def damage_log(self) -> DamageLog:
        """A count of unreadable images, which raises `CompoundError` when they are too many."""
        return DamageLog(self.damaged_limit)

    def take_threads(self) -> None:
        """Let torch use `threads`, in this process from now on."""
        if self.threads:
            torch.set_num_threads(self.threads)

    @contextmanager
    def algorithms(self) -> Iterator[None]:
        """Within it, torch computes `deterministic`ally where that is asked for.

        Raises `CompoundError` for an operator that has no such algorithm on the device.
        """
        if not self.deterministic:
            yield
            return
        # cuBLAS reads it when it starts; another value of the two that it allows may have been set before.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False
        try:
            yield
        except RuntimeError as error:
            if "deterministic" not in str(error):
                raise
            operator = str(error).split()[0]
            raise CompoundError(
                f"{operator} has no deterministic algorithm on this device; leave --deterministic out"
            ) from error
        finally:
            torch.use_deterministic_algorithms(before[0])
            torch.backends.cudnn.benchmark = before[1]


def check_workers(workers: int, least: int = 1) -> None:
    """Raise `UsageError` for a number of processes that this machine cannot run."""
    most = max(WORKERS_A_CORE * cores(), ALWAYS)
    if not least <= workers <= most:
        raise UsageError(f"workers {workers} is not a number this machine can run; use {least} to {most}")


def pick_device(name: str = "auto") -> torch.device:
    """`auto` is the GPU where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise CompoundError(f"device {name!r} cannot be used: {str(error).splitlines()[0]}; use cpu or auto") from None
    return device


def share_cores(workers: int | None, device: str = "auto", threads: int | None = None) -> tuple[int, Execution]:
    """Processes, and how each runs: by default one a core and at most four; a GPU is kept busy by one."""
    here = cores()
    if workers is not None:
        check_workers(workers)
    if workers is None and threads is not None:
        workers = max(here // threads, 1)
    crew = workers or (min(here, 4) if Execution(device).where.type == "cpu" else 1)
    return crew, Execution(device, threads=threads or max(here // crew, 1))
