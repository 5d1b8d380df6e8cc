"""Checkpoints that change after they were written, and disks that refuse them."""

import os
import random
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from benchmarks.faults.subject import fork
from compound.errors import CompoundError
from compound.training import storage


def checkpoint(step: int, numbers: int = 20_000) -> dict[str, Any]:
    """Like one of a training: tensors, a counter, words."""
    values = torch.randn(numbers, generator=torch.Generator().manual_seed(step))
    return {"global_step": step, "state_dict": {"weight": values, "bias": values[:10].clone()}, "name": "step"}


def pair(folder: Path, numbers: int = 20_000) -> Path:
    """previous.ckpt of step 1 and last.ckpt of step 2 in `folder`; the latter's path."""
    folder.mkdir(parents=True, exist_ok=True)
    for step in (1, 2):
        storage.save(checkpoint(step, numbers), folder / storage.LAST, folder / storage.PREVIOUS)
    return folder / storage.LAST


def detected(folder: Path, flips: int, cuts: int, seed: int = 0) -> dict[str, int]:
    """Flipped bytes and cut ends of the last checkpoint: how many are noticed, so that the previous one is taken."""
    rng = random.Random(seed)
    path = pair(folder)
    data = path.read_bytes()
    count = {"flips": flips, "flips_detected": 0, "cuts": cuts, "cuts_detected": 0}
    for number in range(flips + cuts):
        kind = "flips" if number < flips else "cuts"
        spoilt = bytearray(data)
        if kind == "flips":
            spoilt[rng.randrange(len(data))] ^= rng.randrange(1, 256)
        else:
            del spoilt[rng.randrange(len(data)) :]
        path.unlink(missing_ok=True)  # it may be linked
        path.write_bytes(spoilt)
        found = storage.newest(folder)
        count[f"{kind}_detected"] += found is not None and found.step == 1 and str(path) in found.wrong[0]
    return count


def refused(folder: Path) -> dict[str, str | None]:
    """What is said where a disk refuses a checkpoint; None where this machine cannot pretend that fault.

    Raises `AssertionError` unless the checkpoint before is whole after it and the message names the place.
    """
    return {
        "full disk": on_full_disk(folder / "full"),
        "quota reached within the file": in_child(folder / "short", limit_size),
        "no permission": in_child(folder / "forbidden", become_nobody),
        "read-only file system": on_read_only(folder / "read-only"),
    }


def on_full_disk(folder: Path) -> str | None:
    with mounted(folder, "size=256k") as mount:
        if not mount:
            return None
        path = pair(folder, 10_000)  # 2 × 40 kB and what is left of 256
        return expect_refusal(path, checkpoint(3, 100_000))


def on_read_only(folder: Path) -> str | None:
    with mounted(folder, "size=1m") as mount:
        if not mount:
            return None
        path = pair(folder)
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        return expect_refusal(path, checkpoint(3))


def in_child(folder: Path, prepare: Callable[[], object]) -> str | None:
    """What a process says to which `prepare` has been done."""
    pair(folder)
    said = folder / "said"
    said.touch()
    said.chmod(0o666)
    answer = os.open(said, os.O_WRONLY)

    def work() -> None:
        os.chdir(folder)  # somebody else may be barred from the folders above
        prepare()
        os.write(answer, expect_refusal(Path(storage.LAST), checkpoint(3)).encode())

    status = os.waitpid(fork(work, folder.with_suffix(".log")), 0)[1]
    if os.waitstatus_to_exitcode(status):
        raise AssertionError(folder.with_suffix(".log").read_text())
    return said.read_text()


def limit_size() -> None:
    """Files of this process end at 50,000 bytes: a write is cut short, the next one fails."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))  # Python ignores the signal that would come


def become_nobody() -> None:
    if os.getuid() == 0:
        os.setgid(65534)
        os.setuid(65534)


def expect_refusal(path: Path, value: dict[str, Any]) -> str:
    try:
        storage.save(value, path, path.with_name(storage.PREVIOUS))
    except CompoundError as error:
        said = str(error)
    else:
        raise AssertionError(f"{path} was written")
    found = storage.newest(path.parent)
    assert found is not None, "no checkpoint is left"
    assert (found.step, found.wrong) == (2, []), "the checkpoint before is not whole"
    assert not list(path.parent.glob(".*.tmp")), "a temporary file is left"
    assert str(path) in said
    return said.replace(str(path), path.name)


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[bool]:
    """A small file system at `folder`; False where this user may not mount."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    allowed = bool(shutil.which("mount")) and subprocess.run(command, capture_output=True).returncode == 0
    try:
        yield allowed
    finally:
        if allowed:
            subprocess.run(["umount", str(folder)], check=True)
