"""Writing files so that a crash or a full disk leaves the old file, never half of the new one."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from compound.errors import CompoundError


def write_bytes(path: str | Path, data: bytes) -> Path:
    """Write to a temporary name beside `path`, flush to the disk, then rename over it."""
    return write_with(path, lambda temporary: Path(temporary).write_bytes(data))


def write_text(path: str | Path, text: str) -> Path:
    return write_bytes(path, text.encode("utf-8"))


def write_json(path: str | Path, value: Any) -> Path:
    return write_text(path, json.dumps(value, indent=2) + "\n")


def write_with(path: str | Path, write: Callable[[str], object]) -> Path:
    """Let `write(temporary_path)` make the file, then put it in place."""
    import tempfile  # only writing needs it

    path = Path(path)
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    except OSError as error:
        raise unwritable(path, error) from None
    os.close(descriptor)
    try:
        write(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        Path(temporary).unlink(missing_ok=True)
    return path


def make_folder(path: str | Path) -> Path:
    """The folder, made with its parents if need be; an error says why it cannot be written."""
    import tempfile

    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise unwritable(path, error) from None
    return path


def unwritable(path: Path, error: OSError) -> CompoundError:
    reason = error.strerror or str(error) or type(error).__name__
    return CompoundError(f"cannot write {path}: {reason}; choose another place or free it")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
