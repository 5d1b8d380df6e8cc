"""Checkpoint files: whole or absent, checked by a sum, the one before kept.

A checkpoint is what `torch.save` writes, followed by 40 bytes: a mark and the BLAKE2b sum of all before it.
torch reads such a file as it is.
"""

import hashlib
import os
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple, cast

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from compound.errors import CompoundError
from compound.files import write_with

MARK = b"compound"
SUM_BYTES = 32
LAST, PREVIOUS = "last.ckpt", "previous.ckpt"


class DamagedCheckpoint(CompoundError):
    """A checkpoint that is not what was written; the message names the file and the reason."""


class SummedFile:
    """What `torch.save` writes to: a file that is summed on the way."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.sum = hashlib.blake2b(digest_size=SUM_BYTES)
        self.failure: OSError | None = None

    def write(self, data: bytes) -> int:
        self.sum.update(data)
        try:
            return self.file.write(data)
        except OSError as error:
            self.failure = error
            raise

    def flush(self) -> None:
        self.file.flush()

    def close_with_sum(self) -> None:
        self.file.write(MARK + self.sum.digest())
        self.file.close()


def save(checkpoint: dict[str, Any], path: str | Path, previous: str | Path | None = None) -> None:
    """Write `checkpoint` in place of the file at `path`, which is kept as `previous`."""

    def write(temporary: str) -> None:
        # A file of ours: torch's own ends the process where the disk is full.
        with open(temporary, "wb") as file:
            summed = SummedFile(file)
            try:
                torch.save(checkpoint, cast(IO[bytes], summed))  # it has what is asked of it
            except RuntimeError as error:
                raise summed.failure or error from None  # torch finds its file too short and forgets why
            summed.close_with_sum()

    write_with(path, write, previous)


def check(path: str | Path) -> None:
    """Raise `DamagedCheckpoint` unless the sum at the end of the file is that of what stands before it."""
    try:
        with open(path, "rb") as file:
            end = file.seek(0, os.SEEK_END) - len(MARK) - SUM_BYTES
            file.seek(max(end, 0))
            trailer = file.read()
            file.seek(0)
            summed = hashlib.blake2b(digest_size=SUM_BYTES)
            while end > 0 and (part := file.read(min(end, 2**20))):
                summed.update(part)
                end -= len(part)
    except OSError as error:
        raise DamagedCheckpoint(f"{path} cannot be read: {error.strerror}") from None
    if not trailer.startswith(MARK):
        raise DamagedCheckpoint(f"{path} is cut short or not a checkpoint")
    if trailer != MARK + summed.digest():
        raise DamagedCheckpoint(f"{path} is damaged: its sum is not the one it was written with")


def load(path: str | Path) -> dict[str, Any]:
    """The checkpoint, checked first and read without unpickling objects."""
    check(path)
    loaded: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return loaded


class Found(NamedTuple):
    """The checkpoint to go on with, and what was wrong with newer ones."""

    path: Path
    checkpoint: dict[str, Any]
    wrong: list[str]

    @property
    def step(self) -> int:
        """Optimiser steps that lie in it."""
        return int(self.checkpoint["global_step"])


def newest(folder: Path) -> Found | None:
    """The newest whole checkpoint in `folder`; damaged ones that are newer are set aside as NAME.damaged.

    Raises `DamagedCheckpoint` where there are checkpoints and none is whole.
    """
    damaged: dict[Path, str] = {}
    for path in (folder / LAST, folder / PREVIOUS):
        if not path.exists():
            continue
        try:
            found = Found(path, load(path), list(damaged.values()))
        except DamagedCheckpoint as error:
            damaged[path] = str(error)
            continue
        for each in damaged:
            each.rename(each.with_name(f"{each.name}.damaged"))
        return found
    if damaged:
        said = "; ".join(damaged.values())
        raise DamagedCheckpoint(f"{said}; restore one of them, or remove {folder} to start from nothing")
    return None


class Storage(TorchCheckpointIO):
    """Lightning's way to the functions above; a checkpoint that was `found` is not read twice."""

    def __init__(self, found: Found | None = None) -> None:
        super().__init__()
        self.found = found

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        save(checkpoint, path, previous=Path(path).with_name(PREVIOUS))

    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True) -> dict[str, Any]:
        found, self.found = self.found, None
        return found.checkpoint if found and found.path == Path(path) else load(path)
