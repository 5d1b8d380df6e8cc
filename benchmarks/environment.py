"""What a figure depends on: the machine and the software, and the way results are written."""

import datetime
import os
import platform
from pathlib import Path
from typing import Any

import torch

from compound.files import write_json
from compound.training.run import versions

RESULTS = Path(__file__).parent / "results"


def environment() -> dict[str, Any]:
    """Processor, memory, accelerator, threads and versions."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_bytes": pages,
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "threads": torch.get_num_threads(),
        "system": platform.platform(),
        "versions": versions(),
        "date": datetime.date.today().isoformat(),
    }


def write_result(name: str, value: dict[str, Any], folder: Path = RESULTS) -> Path:
    """FOLDER/NAME.json: the environment and the figures."""
    folder.mkdir(parents=True, exist_ok=True)
    return write_json(folder / f"{name}.json", {"environment": environment()} | value)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
