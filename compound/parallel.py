"""One training in several processes, started by torchrun or by srun: who they are, and what they agree on.

A process alone is process 0 of 1, and nothing here costs it anything.
"""

import atexit
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn

from compound.errors import CompoundError, UsageError

if TYPE_CHECKING:
    from lightning_fabric.plugins.environments import ClusterEnvironment

T = TypeVar("T")
TIMEOUT = timedelta(minutes=10)  # for a machine that vanished; of a process that ended the others know at once


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
        dist.init_process_group(
            backend, init_method=method, rank=environment.global_rank(), world_size=size, timeout=TIMEOUT
        )
        atexit.register(dist.destroy_process_group)
    return World(size, local, environment)


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
        said = str(error).splitlines()[0] if str(error) else ""
        if size() == 1 or not (isinstance(error, dist.DistError) or "gloo" in said.lower()):
            raise
        raise CompoundError(
            f"another process of this training has ended or cannot be reached ({said}); start all of them again with "
            "--resume"
        ) from error


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def size() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def is_first() -> bool:
    """Whether this process is the one that writes and prints."""
    return rank() == 0


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


def gathered(value: T) -> list[T]:
    """The `value` of every process, in the order of their ranks."""
    if size() == 1:
        return [value]
    everyone: list[Any] = [None] * size()
    dist.all_gather_object(everyone, value)
    return everyone


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
