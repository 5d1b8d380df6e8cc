"""The machine as a training or a server finds it. Says as much as it can where torch is missing."""

import os
import platform
import re
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from compound import machine

# How many turns a thread of OpenMP waits awake before it sleeps: see docs/decisions/008-time-as-a-budget.md.
MOST_SPINS = 100_000
OWN_EXTRAS = ("all", "dev", "docs", "oracles")


@dataclass(frozen=True)
class Machine:
    """Cores, memory in bytes, and what is installed. `torch` is empty where there is none."""

    processor: str
    instructions: tuple[str, ...]
    cores: int  # that this process may use
    all_cores: int
    load: float | None  # processes that wanted to run in the last minute
    memory: int | None
    free_memory: int | None
    system: str
    python: str
    torch: dict[str, Any]
    packages: dict[str, dict[str, str | None]]  # by extra: each package's version, None where it is missing
    caches: dict[str, int]  # folders with weights that were fetched, and their bytes

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def doubts(self) -> tuple[str, ...]:
        """What makes this machine slower than it could be, and what to do."""
        own, free = self.cores, self.free_memory
        doubts = {
            f"this process may use {own} of {self.all_cores} cores (affinity or a container's quota)": own
            < self.all_cores,
            f"other work is running (load {self.load or 0:.1f} on {own} cores): times measured now are too long": (
                self.load is not None and self.load > 0.5 * own
            ),
            "less than 2 GiB of memory are free; close something, or train with a smaller --batch": (
                free is not None and free < 2 << 30
            ),
            "torch is not installed, so nothing can be trained; run: pip install 'compound[train]'": not self.torch,
        }
        return tuple(text for text, holds in (doubts | self._doubts_of_torch()).items() if holds)

    def _doubts_of_torch(self) -> dict[str, bool]:
        if not self.torch:
            return {}
        threads, spins = self.torch["threads"], self.torch["spins"]
        return {
            "compound's kernels are missing (no C compiler when it was installed, or COMPOUND_KERNELS=off): a training "
            "step takes about a fifth longer; install gcc, then compound again": self.torch["kernels"] is None,
            f"torch has {threads} threads for {self.cores} cores; set OMP_NUM_THREADS={self.cores}": threads
            > self.cores,
            "OpenMP's threads wait awake, which costs a busy machine most of its speed; set GOMP_SPINCOUNT=10000": (
                spins is None or spins > MOST_SPINS
            ),
        }


def look() -> Machine:
    """This machine, now."""
    return Machine(
        processor=machine.processor(),
        instructions=tuple(machine.instructions()),
        cores=machine.cores(),
        all_cores=os.cpu_count() or 1,
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        memory=machine.memory(),
        free_memory=machine.free_memory(),
        system=platform.platform(terse=True),
        python=platform.python_version(),
        torch=_torch() if find_spec("torch") else {},
        packages=_packages(),
        caches=_caches(),
    )


def _torch() -> dict[str, Any]:
    import torch

    from compound import kernels

    library = kernels.library()
    spins = os.environ.get("GOMP_SPINCOUNT", "")
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "version": torch.__version__,
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "onednn": torch.backends.mkldnn.is_available(),
        "mkl": torch.backends.mkl.is_available(),
        "threads": torch.get_num_threads(),
        "spins": int(spins) if spins.isdigit() else None,
        "kernels": Path(library._name).name if library else None,
        "gpus": gpus,
        "mps": torch.backends.mps.is_available(),
    }


def _packages() -> dict[str, dict[str, str | None]]:
    """The packages of each extra of compound's own metadata; those that an earlier extra names are not repeated."""
    found: dict[str, dict[str, str | None]] = {}
    try:
        wanted = requires("compound") or []
    except PackageNotFoundError:  # run from its sources
        return found
    for line in wanted:
        extra = re.search(r"extra == ['\"]([\w-]+)['\"]", line)
        name = re.match(r"[\w.-]+", line)
        if extra and name and extra[1] not in OWN_EXTRAS and name[0] != "compound":
            found.setdefault(extra[1], {})[name[0]] = _version(name[0])
    return found


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _caches() -> dict[str, int]:
    """Where torchvision and the Hugging Face hub keep weights, as these libraries find it, with the bytes there."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))  # also of a user without a home
    torch_home = Path(os.environ.get("TORCH_HOME") or home / "torch")
    hub = Path(os.environ.get("HF_HUB_CACHE") or Path(os.environ.get("HF_HOME") or home / "huggingface") / "hub")
    found = {}
    for folder in (torch_home / "hub" / "checkpoints", hub):
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
        if size:
            found[str(folder)] = size
    return found
