"""Writing files so that a crash or a full disk leaves the old file, never half of the new one; their digests."""

import errno
import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import BufferedIOBase, BufferedReader
from pathlib import Path
from typing import Any

from compound.errors import CompoundError, InUseError, UsageError

SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)  # errors where the free space is worth knowing


def write_bytes(path: str | Path, data: bytes) -> Path:
    """Write to a temporary name beside `path`, flush to the disk, then rename over it."""
    return write_with(path, lambda temporary: Path(temporary).write_bytes(data))


def write_text(path: str | Path, text: str) -> Path:
    return write_bytes(path, text.encode("utf-8"))


def write_json(path: str | Path, value: Any) -> Path:
    return write_text(path, json.dumps(value, indent=2) + "\n")


def write_with(path: str | Path, write: Callable[[str], object], previous: str | Path | None = None) -> Path:
    """Let `write(temporary_path)` make the file, then put it in place; the file it replaces is kept as `previous`."""
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
        if previous is not None and path.exists():
            link(path, previous)
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        Path(temporary).unlink(missing_ok=True)
    return path


def read_regular(path: str | Path, most: float) -> bytes:
    """The bytes of a regular file of at most `most`: a pipe may never end, and a device may have no end.

    Raises `OSError` with a reason in words.
    """
    with open_regular(path, most) as file:
        return read_bounded(file, most, os.fstat(file.fileno()).st_size)


def read_bounded(file: BufferedIOBase, most: float, likely: int = 0) -> bytes:
    """All bytes of a file, `likely` so many. Raises `OSError` where they are more than `most`."""
    parts, size = [file.read(likely)], likely
    while part := file.read(2**20):  # never all that is allowed at once: memory would be taken for it
        parts.append(part)
        size += len(part)
        if size > most:
            raise too_long(most)
    return b"".join(parts)


def open_regular(path: str | Path, most: float) -> BufferedReader:
    """A regular file of at most `most` bytes, to be read. Raises `OSError` with a reason in words."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # else opening a pipe waits for its writer
    except ValueError:
        raise OSError(errno.EINVAL, "its name holds a zero byte") from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        if found.st_size > most:
            raise too_long(most)
        return open(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def stands(path: str | Path) -> bool:
    """Whether anything has this name. A folder or a broken link in a file's place is damage, and no missing file."""
    return os.path.lexists(path)


def too_long(most: float) -> OSError:
    return OSError(errno.EFBIG, f"it has more than the {int(most):,} bytes that are allowed")


def ending(path: str | Path, known: Iterable[str], what: str) -> str:
    """What the name of a file to be written ends in, without the dot. Raises `UsageError` where it is not `known`."""
    found = Path(path).suffix.lower().removeprefix(".")
    if found not in known:
        raise UsageError(f"{path} is no {what} that can be written; end its name in .{' or .'.join(known)}")
    return found


def name_of(path: Path) -> str:
    """What a run or a file is called: a folder's whole name, a file's without its ending."""
    return path.stem if path.is_file() else path.name


def sha256(path: str | Path) -> str:
    """The digest of a file in hexadecimal digits."""
    import hashlib

    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def link(path: str | Path, other: str | Path) -> None:
    """Let `other` be the file at `path` too, in one step; where the file system has no links, a copy."""
    import shutil

    other = Path(other)
    temporary = other.with_name(f".{other.name}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        os.link(path, temporary)
    except OSError:
        shutil.copyfile(path, temporary)
    os.replace(temporary, other)


def clear_leftovers(folder: Path) -> None:
    """Remove the temporary files of a process that was killed while it wrote into `folder`."""
    for path in folder.glob(".*.tmp"):
        path.unlink(missing_ok=True)


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold `path` for this process; a second one is told that `what` is in use, and by whom.

    The lock ends with its process, however that ends. Processes forked from it hold nothing (POSIX record locks).
    """
    import fcntl
    import socket

    with open_for(path, "a+") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise InUseError(f"{what} is in use by {holder}; wait for its end, or choose another place") from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield


def is_locked(path: Path) -> bool:
    """Whether another process, of this machine or through the file system of another, holds `path` (see `locked`)."""
    import fcntl

    try:
        with open(path, "rb") as file:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return True
    except OSError:  # there is none, or this file system has no locks
        return False
    return False


def open_for(path: Path, mode: str) -> Any:
    try:
        return open(path, mode, encoding="utf-8")
    except OSError as error:
        raise unwritable(path, error) from None


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
    if error.errno in SPACE:
        reason += f", {_free_bytes(path):,} bytes free"
    return CompoundError(f"cannot write {path}: {reason}; choose another place or free it")


def _free_bytes(path: Path) -> int:
    import shutil

    existing = next(folder for folder in path.absolute().parents if folder.exists())
    return shutil.disk_usage(existing).free


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
