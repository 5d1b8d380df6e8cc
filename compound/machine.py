"""The machine under this process: processor, instructions, cores, memory. Needs no torch."""

import os
import platform
from pathlib import Path

# What makes a difference to convolutions, in the names of /proc/cpuinfo.
INSTRUCTIONS = ("avx2", "fma", "avx512f", "avx512_bf16", "avx512_vnni", "amx_tile", "amx_bf16", "asimd", "sve")


def processor() -> str:
    return _lines("/proc/cpuinfo").get("model name", platform.processor() or platform.machine())


def instructions() -> list[str]:
    """Those of `INSTRUCTIONS` that the processor has."""
    info = _lines("/proc/cpuinfo")
    present = set(info.get("flags", info.get("Features", "")).split())
    return [name for name in INSTRUCTIONS if name in present]


def cores() -> int:
    """Those that this process may use, by affinity and by a container's quota (cgroup v2: microseconds of a period)."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return allowed if quota == "max" else max(1, min(allowed, round(int(quota) / int(period))))
    except (OSError, ValueError):
        return allowed


def memory() -> int | None:
    """Bytes of it."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return None


def free_memory() -> int | None:
    """Bytes that a process can still have, where the system says so (Linux)."""
    line = _lines("/proc/meminfo").get("MemAvailable")
    return int(line.split()[0]) * 1024 if line else None


def _lines(path: str) -> dict[str, str]:
    """The first block of `name: value` lines, where there is such a file."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError:
        return {}
    lines = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in lines}
