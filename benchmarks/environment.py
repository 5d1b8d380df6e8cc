"""What a figure depends on: the machine and the software, and the way results are written."""

import datetime
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

import torch

from compound.files import write_json
from compound.machine import memory, processor
from compound.training.run import versions

RESULTS = Path(__file__).parent / "results"


def environment() -> dict[str, Any]:
    """Processor, memory, accelerator, threads and versions."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory_bytes": memory(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "threads": torch.get_num_threads(),
        "system": platform.platform(),
        "versions": versions(),
        "date": datetime.date.today().isoformat(),
    }


def begun_result(name: str, rows: str, settings: dict[str, Any], folder: Path = RESULTS) -> dict[str, Any]:
    """What FOLDER/NAME.json has of `rows`, to go on with; ends the process where it was made with other settings."""
    file = folder / f"{name}.json"
    before = json.loads(file.read_text()) if file.exists() else {"settings": settings, rows: {}}
    if before["settings"] != settings:
        sys.exit(f"{file} was made with other settings; move it away, or give --results FOLDER")
    found: dict[str, Any] = before[rows]
    return found


def write_result(name: str, value: dict[str, Any], folder: Path = RESULTS) -> Path:
    """FOLDER/NAME.json: the environment and the figures."""
    folder.mkdir(parents=True, exist_ok=True)
    return write_json(folder / f"{name}.json", {"environment": environment()} | value)
