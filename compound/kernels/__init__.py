"""Kernels in C for what a training step on a processor loses its time with; wherever there are none, torch computes it.

They are built when the package is, if a compiler is at hand, and called by pointers, so that one build serves every
Python and every torch. `COMPOUND_KERNELS=off` does without them.
"""

import ctypes
import os
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

BUILT = "_native*.so"
MAPS = {torch.float32: "", torch.bfloat16: "_bf16"}  # what maps may be, and how the names of kernels for them end


@cache
def library() -> ctypes.CDLL | None:
    """The kernels that were built, with the threads of torch's own OpenMP; None without them."""
    if os.environ.get("COMPOUND_KERNELS") == "off":
        return None
    for path in sorted(Path(__file__).parent.glob(BUILT)):
        try:
            found = ctypes.CDLL(str(path))
            found.compound_threads(_fork())
        except (OSError, AttributeError):  # built for another system, or an older set of kernels
            continue
        return found
    return None


def _fork() -> ctypes.c_void_p:
    """GOMP_parallel as torch has loaded it; nothing where its OpenMP is another, and kernels use one thread."""
    try:
        return ctypes.cast(ctypes.CDLL(None).GOMP_parallel, ctypes.c_void_p)
    except (AttributeError, OSError, TypeError):
        return ctypes.c_void_p(None)


def serves(*tensors: Tensor, kinds: tuple[torch.dtype, ...] = (torch.float32,)) -> bool:
    """Whether there are kernels for tensors like these: of these `kinds`, on the processor, with their own strides."""
    plain = all(type(x) in (Tensor, torch.nn.Parameter) and x.is_cpu for x in tensors)
    return plain and all(x.dtype in kinds for x in tensors) and library() is not None


def innermost(x: Tensor) -> Tensor:
    """x with its channels innermost in memory: itself, or a copy."""
    return x.contiguous(memory_format=torch.channels_last)


def call(name: str, map: Tensor, *arguments: object) -> None:
    """The kernel of that name for tensors like `map`, with the number of torch's threads as the last argument."""
    getattr(library(), name + MAPS[map.dtype])(*arguments, torch.get_num_threads())


def pointer(x: Tensor | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(None if x is None else x.data_ptr())


def size(number: int) -> ctypes.c_size_t:
    return ctypes.c_size_t(number)
