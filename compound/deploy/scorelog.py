"""What a network said of photos in use, line by line: no picture, no name of a file, and no more than some megabytes.

A line is a JSON object of one image: when, by which model, its class and probability, and where they are known the
score and whether it was unknown (`compound.nn.Unknown`), and how bright the network received it. Any number of
processes write into one file: a line is whole or not there.
"""

import fcntl
import json
import math
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from compound.bounds import bound
from compound.errors import UsageError
from compound.files import open_regular, stands, unwritable
from compound.mapping import shown

LONGEST_LINE = 1 << 16  # bytes
OLDER = ".1"  # ending of the file before this one


@dataclass(frozen=True)
class Scored:
    """What was said of one image: its most probable class and the probability; `brightness` is from 0 to 1."""

    name: str
    confidence: float
    score: float | None = None
    unknown: bool | None = None
    brightness: float | None = None

    def line(self, model: str, when: float) -> str:
        light = None if self.brightness is None else round(self.brightness, 4)
        told = {"time": round(when, 3), "model": model} | asdict(self) | {"brightness": light}
        return json.dumps({key: value for key, value in told.items() if value is not None}, ensure_ascii=False) + "\n"


class ScoreLog:
    """A file that lines are added to. Before it would pass COMPOUND_MAX_LOG bytes it becomes FILE.1, in place of the
    one before.

    Raises `CompoundError` where it cannot be written, at once and not at the first line.
    """

    def __init__(self, path: str | Path, model: str = "") -> None:
        self.path, self.model = Path(path), model
        self.most = int(bound("COMPOUND_MAX_LOG"))
        self.add([])

    def add(self, images: Sequence[Scored], model: str | None = None) -> None:
        """A line for each; all of them together or, where the disk is full, none that is not whole."""
        now = time.time()
        data = "".join(one.line(self.model if model is None else model, now) for one in images).encode()
        try:
            with open(self.path, "ab+", buffering=0) as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                if self._is_moved(file.fileno()):  # another process made it FILE.1 while this one waited
                    return self.add(images, model)
                size = os.fstat(file.fileno()).st_size
                if size and size + len(data) >= self.most:  # one more byte may end a line that was cut off
                    os.replace(self.path, f"{self.path}{OLDER}")
                    return self.add(images, model)
                self._append(file.fileno(), size, data)
        except OSError as error:
            raise unwritable(self.path, error) from None

    def _is_moved(self, file: int) -> bool:
        try:
            return not os.path.samestat(os.fstat(file), os.stat(self.path))
        except FileNotFoundError:
            return True

    def _append(self, file: int, size: int, data: bytes) -> None:
        if size and os.pread(file, 1, size - 1) != b"\n":  # a process ended, or the disk did, amid a line
            data = b"\n" + data
        written = os.write(file, data)
        if written < len(data):
            os.ftruncate(file, size)
            raise OSError("the disk is full")


@dataclass(frozen=True)
class Logged:
    """What a log holds, in its order. `broken`: lines that are none."""

    images: tuple[Scored, ...]
    first: float
    last: float
    models: tuple[str, ...]
    broken: int


def read_log(path: Path, most: int | None = None) -> Logged:
    """The last `most` images of a log and of the older file beside it, by default all. Raises `UsageError`."""
    files = [one for one in (Path(f"{path}{OLDER}"), path) if stands(one)]
    if path not in files:
        raise UsageError(f"there is no log {path}; compound predict and compound serve write one with --log {path}")
    lines = [line for file in files for line in _lines(file)]
    whole = [one for one in map(_parsed, lines) if one is not None]
    kept = whole[-most:] if most else whole
    if not kept:
        raise UsageError(f"{path} holds no line of an image; give what compound predict or serve wrote with --log")
    times = [when for when, _, _ in kept]
    models = tuple(dict.fromkeys(model for _, model, _ in kept))
    return Logged(tuple(one for _, _, one in kept), min(times), max(times), models, len(lines) - len(whole))


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with open_regular(path, bound("COMPOUND_MAX_TABLE")) as file:
            while line := file.readline(LONGEST_LINE):
                yield line
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}; give a file that --log wrote") from None


def _parsed(line: bytes) -> tuple[float, str, Scored] | None:
    """When, by which model, and what; None of a line that is cut off or is something else."""
    try:
        given: Any = json.loads(line)
        score, light, unknown = given.get("score"), given.get("brightness"), given.get("unknown")
        numbers = [float(one) for one in (given["time"], given["confidence"], score or 0, light or 0)]
        if not all(map(math.isfinite, numbers)) or not 0 <= numbers[1] <= 1.001 or unknown not in (None, True, False):
            return None
        kept = Scored(str(given["name"]), numbers[1], score, unknown, light)
        return numbers[0], str(given.get("model", "")), kept
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def refuse_strangers(log: Logged, classes: Sequence[str], path: Path, run: Path) -> None:
    """Raise `UsageError` for a log of a network that knows other classes."""
    for name in dict.fromkeys(one.name for one in log.images):
        if name not in classes:
            raise UsageError(
                f"{path} names the class {shown(name)}, which {run} does not know; give the run that served"
            )
