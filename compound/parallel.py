"""One training in several processes, started by torchrun or by srun: who they are, and what they agree on.

A process alone is process 0 of 1, and nothing here costs it anything.
"""

import atexit
import gc
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from threading import Thread
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import torch
import torch.distributed as dist
from torch import nn

from compound.errors import CompoundError, UsageError

if TYPE_CHECKING:
    from lightning_fabric.plugins.environments import ClusterEnvironment

T = TypeVar("T")
TIMEOUT = timedelta(minutes=10)  # for a machine that vanished; of a process that ended the others know at once
PATIENCE = 5.0  # seconds for the end of a group; one in whose midst somebody waits for an answer does not end
QUIET = 0.1  # seconds in which its threads let go of the last tensor


@dataclass(frozen=True)
class World:
    """The processes of this training: `local` of `size` are on this machine."""

    size: int = 1
    local: int = 1
    environment: "ClusterEnvironment | None" = None

    @property
    def nodes(self) -> int:
        return self.size // self.local


def join(device: torch.device) -> World:
    """Meet the other processes; in a group already joined, or alone, nothing happens."""
    environment = _environment()
    if environment is None:
        return World()
    size, local = environment.world_size(), _local_size()
    if not dist.is_initialized():
        if device.type == "cuda":
            torch.cuda.set_device(environment.local_rank())
        # torchrun keeps the meeting place itself; `env://` finds it.
        address = f"tcp://{environment.main_address}:{environment.main_port}"
        method = "env://" if dist.is_torchelastic_launched() else address
        backend = "nccl" if device.type == "cuda" else "gloo"
        rank = environment.global_rank()
        try:
            dist.init_process_group(backend, init_method=method, rank=rank, world_size=size, timeout=TIMEOUT)
        except dist.DistError as error:
            raise CompoundError(
                f"process {rank} of {size} did not meet the others at {address} ({first_line(error)}); start all of "
                "them, and again if one has ended"
            ) from None
        atexit.register(leave)
    return World(size, local, environment)


def leave() -> bool:
    """End the group, if there is one, while Python still runs. False where it is busy: see `PATIENCE`.

    A thread of the group that lets go of a tensor needs Python for it; one that does so while Python ends is ended by
    the system, and with it the process ("terminate called without an active exception").
    """
    if not dist.is_initialized():
        return True
    gc.collect()  # trainers and wrapped networks hold the group, and one another
    ending = Thread(target=_end_group, args=(_gpu(),), daemon=True)
    ending.start()
    ending.join(PATIENCE)
    return not ending.is_alive()


def _gpu() -> int | None:
    return torch.cuda.current_device() if dist.get_backend() == "nccl" else None


def _end_group(gpu: int | None) -> None:
    if gpu is not None:
        torch.cuda.set_device(gpu)  # each thread has its own
    dist.destroy_process_group()
    time.sleep(QUIET)


def end_process(code: int) -> NoReturn:
    """End one of several processes: all that is registered to be done at the end, then nothing of Python's own end.

    What torch keeps of a divided network holds the group's threads, which may not meet that end (see `leave`).
    """
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _environment() -> "ClusterEnvironment | None":
    if not dist.is_torchelastic_launched() and os.environ.get("SLURM_NTASKS", "1") == "1":
        return None
    from lightning_fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment

    if dist.is_torchelastic_launched():
        return TorchElasticEnvironment()
    # Without its handling of signals: ours saves and stops (see `Checkpoints`).
    return SLURMEnvironment(auto_requeue=False) if SLURMEnvironment.detect() else None


def _local_size() -> int:
    words = os.environ.get("LOCAL_WORLD_SIZE") or os.environ.get("SLURM_NTASKS_PER_NODE") or "1"
    return int(words)


@contextmanager
def together() -> Iterator[None]:
    """Say in one sentence that another process of this training has ended."""
    try:
        yield
    except RuntimeError as error:
        said = first_line(error)
        if size() == 1 or not (isinstance(error, dist.DistError) or "gloo" in said.lower()):
            raise
        raise CompoundError(
            f"another process of this training has ended or cannot be reached ({said}); start all of them again, with "
            "compound resume"
        ) from error


def first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def size() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def is_first() -> bool:
    """Whether this process is the one that writes and prints."""
    return rank() == 0


@together()
def from_first(make: Callable[[], T]) -> T:
    """What `make` returns in process 0, for all; where it fails, process 0 says why and the others end."""
    if size() == 1:
        return make()
    said: list[Any] = [None, None]
    failure: CompoundError | None = None
    if is_first():
        try:
            said[0] = make()
        except CompoundError as error:
            failure, said[1] = error, error.exit_code
    dist.broadcast_object_list(said, src=0)
    if failure:
        raise failure
    if said[1]:
        raise SystemExit(said[1])
    value: T = said[0]
    return value


@together()
def highest(value: int) -> int:
    """The largest `value` of all processes: how they agree to stop or to save."""
    if size() == 1:
        return value
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    found = torch.tensor(value, device=device)
    dist.all_reduce(found, dist.ReduceOp.MAX)
    return int(found)


def summed(values: list[float]) -> list[float]:
    """Each number added up over all processes."""
    if size() == 1:
        return values
    return [sum(column) for column in zip(*gathered(values), strict=True)]


@together()
def gathered(value: T) -> list[T]:
    """The `value` of every process, in the order of their ranks."""
    if size() == 1:
        return [value]
    everyone: list[Any] = [None] * size()
    dist.all_gather_object(everyone, value)
    return everyone


@together()
def sent_to_first(value: T) -> list[T]:
    """The `value` of every process, in process 0; nothing in the others."""
    if size() == 1:
        return [value]
    everyone: list[Any] = [None] * size() if is_first() else []
    dist.gather_object(value, everyone or None, dst=0)
    return everyone


@together()
def joined(rows: torch.Tensor) -> tuple[torch.Tensor, list[int]]:
    """The rows of all processes, (N, …), dealt out one after the other, as batches are; and which are of this one.

    Some processes may have fewer. All have rows of one kind.
    """
    if size() == 1:
        return rows, list(range(len(rows)))
    counts = gathered(len(rows))
    padded = rows.new_zeros(max(counts), *rows.shape[1:])
    padded[: len(rows)] = rows
    every = [torch.empty_like(padded) for _ in counts]
    dist.all_gather(every, padded)
    turns = [(turn, process) for turn in range(max(counts)) for process in range(size()) if turn < counts[process]]
    places = torch.tensor([process * max(counts) + turn for turn, process in turns], device=rows.device)
    return torch.cat(every)[places], [n for n, (_, process) in enumerate(turns) if process == rank()]


@together()
def share_statistics(model: nn.Module) -> None:
    """Give every process the batch-norm statistics of process 0, which are those that are saved."""
    statistics = [buffer for buffer in model.buffers() if buffer.is_floating_point()]
    if size() == 1 or not statistics:
        return
    flat = torch.cat([buffer.flatten() for buffer in statistics])
    dist.broadcast(flat, src=0)
    parts = flat.split([buffer.numel() for buffer in statistics])
    torch._foreach_copy_(statistics, [part.view_as(own) for part, own in zip(parts, statistics, strict=True)])


def share_of(batch: int, held_out: int, parts: int = 1) -> int:
    """Images a process takes of a batch: all batches are the same whatever the number of processes."""
    if batch % size():
        raise UsageError(f"batch {batch} cannot be shared by {size()} processes; use a multiple of {size()}")
    if parts > 1 and size() > 1:
        raise UsageError(f"accumulate {parts} works in one process, and here are {size()}; leave it out")
    if 0 < held_out < size():
        raise UsageError(f"{held_out} held-out images are too few for {size()} processes; hold out more")
    return batch // size()
