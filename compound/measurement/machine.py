"""The machine a figure belongs to: what it is, how fast it can be, and memory that is kept rather than returned."""

import ctypes
import platform
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from torch.nn.functional import conv2d

from compound import __version__
from compound.machine import cores, instructions, processor
from compound.measurement.timing import fastest
from compound.runtimes import Call
from compound.runtimes.accelerated import ended

PACKAGES = ("torch", "torchvision", "timm", "onnx", "onnxruntime", "openvino")
MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1  # malloc.h: M_MMAP_THRESHOLD, M_TRIM_THRESHOLD


def keep_freed_memory() -> bool:
    """Let malloc keep what is freed. True where that is possible (glibc).

    Otherwise large maps go back to the system after every operator and come back as zeroed pages: a fifth of
    EfficientNet-B0's time on one virtual machine, and not the same fifth in every process.
    """
    try:
        libc = ctypes.CDLL("libc.so.6")
        return bool(libc.mallopt(MMAP_THRESHOLD, 1 << 30) and libc.mallopt(TRIM_THRESHOLD, (1 << 31) - 1))
    except (OSError, AttributeError):
        return False


def environment(threads: int) -> dict[str, Any]:
    """What a measured time depends on besides the network."""
    return {
        "cpu": processor(),
        "flags": instructions(),
        "cores": cores(),
        "threads": threads,
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": _versions(),
        "freed_memory_is_kept": keep_freed_memory(),
    }


def peak_gflops(call: Call, seconds: float = 0.5) -> float:
    """The fastest single-precision operator of torch on the device of `call`, in billions of operations a second.

    A multiply-add is two operations. A matrix product and a 3×3 convolution run for half of `seconds` each: which of
    the libraries behind them is the faster one depends on the processor.
    """
    torch.set_num_threads(call.threads)
    device = call.device
    size, channels, pixels = 1024, 256, 28
    size = size if device.type == "cpu" else 8 * size  # a GPU is not filled by less
    a, b = torch.rand(size, size, device=device), torch.rand(size, size, device=device)
    maps = torch.rand(1, channels, pixels, pixels, device=device).contiguous(memory_format=torch.channels_last)
    weight = torch.rand(channels, channels, 3, 3, device=device).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        product = fastest(ended(partial(torch.mm, a, b), device), seconds / 2)
        convolution = fastest(ended(partial(conv2d, maps, weight, padding=1), device), seconds / 2)
    return max(2 * size**3 / product, 2 * 9 * channels**2 * pixels**2 / convolution) / 1e9


def _versions() -> dict[str, str]:
    found = {"compound": __version__}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
