"""Kernels in Triton for what a training step on a GPU loses its time with, as operators of torch.

They are used for tensors on CUDA alone, where Triton is (it comes with torch's builds for CUDA). `COMPOUND_KERNELS=off`
does without them. In Triton's interpreter (`TRITON_INTERPRET=1`) the same operators take tensors on the processor.
"""

import os
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor


@cache
def _found() -> bool:
    return os.environ.get("COMPOUND_KERNELS") != "off" and find_spec("triton") is not None


OPTIONS = {"num_warps": 4, "enable_fp_fusion": True}  # Triton's usual ones, said, for its usual ones change
MAPS = (torch.float32, torch.bfloat16, torch.float16)


def serves(*tensors: Tensor, kinds: tuple[torch.dtype, ...] = (torch.float32,)) -> bool:
    """Whether there are kernels for tensors like these: of these `kinds`, on CUDA, with their own strides."""
    plain = all(type(x) in (Tensor, torch.nn.Parameter) and x.is_cuda for x in tensors)
    return plain and all(x.dtype in kinds for x in tensors) and _found()


def kernel(function: Callable[..., Any]) -> Any:
    """`triton.jit`, whose kernels are launched as `kernel[grid](…)`: Triton has no types, and `tl.tensor` is Any."""
    import triton

    return triton.jit(function)


def blocks(extent: int, block: int) -> int:
    """How many blocks cover an extent."""
    return -(-extent // block)


def power(number: int, least: int, most: int) -> int:
    """The least power of two from `number` on, within bounds that are powers themselves."""
    return min(max(1 << max(number - 1, 0).bit_length(), least), most)
